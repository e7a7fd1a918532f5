import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProduct, updateApps, type Release } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { inspectPath } from '@boxship/inspect';
import { describe, expect, it } from 'vitest';
import { fearProduct, IMAGE } from './fear-product.ts';

// One product file, several engines: a variant's goes before its machine's, and that before the product's.

/** What debugfs answers of a file system in the image of a release. */
async function debugfsOf(folder: string) {
  const release = JSON.parse(await readFile(join(folder, 'release.json'), 'utf8')) as Release;
  const image = join(folder, release.files.find(({ name }) => name.endsWith('.img'))!.name);
  return async (role: string, command: string) => {
    const { start } = release.partitions.find((one) => one.role === role)!;
    return (await runProgram('debugfs', ['-R', command, `${image}?offset=${start}`])).stdout.toString();
  };
}

describe('the engine of a variant', () => {
  it('is its own, else that of its machine, else that of the product; each release is made for its engine', async () => {
    await using product = await fearProduct({
      base: { files: { 'usr/bin/podman': 'x' } }, // and dockerd, which the tiny base has
      yaml: (text) =>
        text
          .replace('  tiny: {', '  other: { base: ./vendor.img, platform: linux/amd64, engine: podman }\n  tiny: {')
          .replace('  basic: {', '  extra: { extends: own, machines: [tiny] }\n  own: { apps: [app], engine: { name: podman } }\n  basic: {'), // prettier-ignore
    });
    await product.lock();
    const plans = await product.plan();
    const engines = plans.map(({ variant }) => `${variant.name} ${variant.machine.name} ${variant.engine.name}`);
    expect(engines.toSorted()).toEqual([
      'basic other podman',
      'basic tiny docker',
      'extra tiny podman',
      'own other podman',
      'own tiny podman',
    ]);
    const mounts = (name: string, machine: string) =>
      plans.find(({ variant }) => variant.name === name && variant.machine.name === machine)!.rootfs.changes.map(({ path }) => path).filter((path) => /\/var-lib-.*\.mount$/.test(path)); // prettier-ignore
    expect(mounts('basic', 'tiny').join()).toMatch(/var-lib-docker\.mount/);
    expect(mounts('own', 'tiny').join()).toMatch(/var-lib-containers-storage\.mount/);
    expect(mounts('own', 'tiny').join()).not.toMatch(/docker/);
    const releases = Object.keys(await product.compose().then(() => product.outputs()));
    expect(new Set(releases.map((path) => path.split('/')[1]))).toEqual(
      new Set(['other-podman-basic', 'tiny-docker-basic', 'tiny-podman-extra', 'other-podman-own', 'tiny-podman-own']),
    );
  });

  it('k3s: its own images are locked and in the store with those of the apps, and the plan says that it is unproven', async () => {
    const pause = 'registry.example.com/rancher/pause:3.6';
    await using product = await fearProduct({
      base: { files: { 'usr/local/bin/k3s': 'x', 'etc/rancher/k3s/config.yaml': 'pause-image: "rancher/pause:3.6"\ndisable:\n  - coredns\n' } },
      yaml: (text) => `${text.replace('images:\n', `images:\n  ${pause}: { from: "oci:./images/app:1" }\n`)}engine: { name: k3s, images: ["${pause}"] }\n`,
    });
    const { images } = await product.lock();
    expect(images.map(({ reference }) => reference)).toContain(pause);
    const [plan] = await product.plan();
    expect(plan!.warnings.filter((text) => /k3s|pause/.test(text))).toEqual([expect.stringContaining('k3s is unproven')]);
    expect(plan!.variant.images.map(({ reference }) => reference)).toEqual(images.map(({ reference }) => reference));
    await product.compose();
    const ask = await debugfsOf(join(product.out, 'acme-1.0.0/tiny-k3s-basic'));
    expect(JSON.parse((await ask('store', 'cat /apps/app/manifests/boxship-app.yaml')).split('---\n').at(-1)!)).toMatchObject({ kind: 'Job' });
    expect(await ask('rootfs', 'stat /usr/lib/systemd/system/k3s.service.d/10-boxship.conf')).toContain('Type: regular');
    const database = await ask('store', 'cat /k3s-containerd/io.containerd.metadata.v1.bolt/meta.db');
    expect(database).toContain(pause);
    expect(`${await ask('rootfs', 'ls /etc/rancher')}${await ask('data', 'ls /')}`).not.toMatch(/token|server/); // made on the device
    const store = await inspectPath(join(product.out, 'acme-1.0.0/tiny-k3s-basic/acme-1.0.0-tiny-basic.img'), { cache: product.cache });
    expect(JSON.stringify(store)).toContain(`"names":["${IMAGE}","registry.example.com/acme/app@sha256:`);
  }); // prettier-ignore

  it('an app in the language of one engine is shipped to that one as it is, and refused for another at its line', async () => {
    const files = { 'usr/bin/podman': 'x', 'usr/local/bin/k3s': 'x', 'usr/lib/systemd/system-generators/podman-system-generator': 'x', 'var/lib/dpkg/status': 'Package: podman\nStatus: install ok installed\nVersion: 5.4.2\n' };
    await using product = await fearProduct({
      base: { files },
      yaml: (text) =>
        text.replace('{ compose: ./app/compose.yaml }', '{ kubernetes: ./k8s.yaml }').replace('images:\n', '  units: { quadlet: ./units }\nimages:\n')
          .replace('basic: { apps: [app] }', 'basic: { apps: [app, units], engine: podman }\n  cluster: { apps: [app], engine: k3s }'),
    });
    const container = `[Container]\nImage=${IMAGE}\nPublishPort=8080:80\n[Install]\nWantedBy=default.target\n`;
    const pod = `kind: Pod\nmetadata: { name: p }\nspec:\n  containers: [{ name: c, image: ${IMAGE} }]\n`;
    await product.write('units/web.container', container);
    await product.write('k8s.yaml', pod);
    await product.lock();
    await product.compose();
    const ask = await debugfsOf(join(product.out, 'acme-1.0.0/tiny-podman-basic'));
    expect(await ask('store', 'cat /apps/units/quadlets/web.container')).toBe(container);
    expect(await ask('store', 'cat /apps/app/quadlets/boxship-app.yaml')).toBe(pod);
    expect(await ask('store', 'cat /apps/app/quadlets/boxship-app.kube')).toContain('Yaml=boxship-app.yaml');
    const cluster = await debugfsOf(join(product.out, 'acme-1.0.0/tiny-k3s-cluster'));
    expect(await cluster('store', 'cat /apps/app/manifests/boxship-app.yaml')).toBe(pod);

    await product.write('k8s.yaml', pod.replace('image:', 'ports: [{ containerPort: 1, hostPort: 8080 }], image:'));
    await expect(product.lock().then(() => product.plan())).rejects.toThrow(/web\.container:3:1: the port 8080.*k8s\.yaml:4:/s);
    await product.write('k8s.yaml', pod);
    await product.edit('boxship.yaml', (text) => text.replace('units], engine: podman', 'units], engine: k3s'));
    await product.lock();
    await expect(product.plan()).rejects.toThrow(/boxship\.yaml:\d+:3: the app "units" is written in Quadlet files, which k3s does not read/);
    await product.edit('boxship.yaml', (text) => text.replace('{ quadlet: ./units }', '{ quadlet: ./units, console: true, kubernetes: x }'));
    await expect(product.lock()).rejects.toThrow(/has quadlet and kubernetes[^]*"console" is for Compose files/);
  }); // prettier-ignore

  it.each(['rkt', 'constructor'])('%s: no store of it can be made, and plan says which can', async (engine) => {
    await using product = await fearProduct({ yaml: (text) => text.replace('basic: {', `basic: { engine: ${engine},`) });
    await product.lock();
    await expect(product.plan()).rejects.toMatchObject({
      code: 'UNKNOWN_ENGINE',
      problems: [{ hint: 'Known: containerd, docker, k3s, podman.' }],
    });
  }); // prettier-ignore

  it('an image store that no engine has is an error with its place, and one of another engine is told when it is planned', async () => {
    const made = fearProduct({ yaml: (text) => `${text}engine: { name: docker, imageStore: btrfs }\n` }).then((product) => product.lock()); // prettier-ignore
    await expect(made).rejects.toThrow(/boxship\.yaml:\d+:\d+: /);
    await using product = await fearProduct({
      base: { files: { 'usr/bin/podman': 'x' } },
      yaml: (text) => `${text}engine: { name: podman, imageStore: containerd }\n`,
    });
    await product.lock();
    await expect(product.plan()).rejects.toMatchObject({ code: 'UNKNOWN_IMAGE_STORE' });
  });

  it('two image stores of docker in one product file: each device is told its own, and the vendor keeps what is his', async () => {
    await using product = await fearProduct({
      base: {
        files: { 'etc/docker/daemon.json': '{ "log-driver": "local", "features": { "cdi": true } }', 'var/lib/dpkg/status': 'Package: docker.io\nStatus: install ok installed\nVersion: 28.5.2\n' }, // prettier-ignore
      },
      yaml: (text) => text.replace('  basic: {', '  young: { apps: [app], engine: { name: docker, imageStore: containerd } }\n  basic: {'), // prettier-ignore
    });
    await product.lock();
    const plans = await product.plan();
    const changed = (name: string) => plans.find(({ variant }) => variant.name === name)!.rootfs.changes.map(({ path }) => path); // prettier-ignore
    expect(changed('basic')).not.toContain('/etc/docker/daemon.json');
    expect(changed('young')).toContain('/etc/docker/daemon.json');
    await product.compose();
    for (const name of ['basic', 'young']) {
      const ask = await debugfsOf(join(product.out, `acme-1.0.0/tiny-docker-${name}`));
      const isYoung = name === 'young';
      expect(JSON.parse(await ask('rootfs', 'cat /etc/docker/daemon.json'))).toEqual({
        'log-driver': 'local',
        ...(isYoung ? { 'storage-driver': 'overlayfs' } : {}),
        features: { cdi: true, ...(isYoung ? { 'containerd-snapshotter': true } : {}) },
      });
      const has = async (path: string) => (await ask('store', `stat /${path}`)) !== '';
      expect([await has('docker/overlay2'), await has('containerd/io.containerd.metadata.v1.bolt/meta.db')], name).toEqual([!isYoung, isYoung]); // prettier-ignore
    }
  });

  it("podman's two image stores in one product file: one is written to, the other mounted read-only and named in the vendor's storage.conf", async () => {
    const conf = (list: string) => `# the vendor's\n[storage]\ndriver = "overlay"\n[storage.options]\nadditionalimagestores = [${list}]\n`;
    await using product = await fearProduct({
      base: { files: { 'usr/bin/podman': 'x', 'etc/containers/storage.conf': conf('"/usr/lib/containers/storage"') } },
      yaml: (text) =>
        text.replace('  basic: {', '  sealed: { apps: [app], engine: { name: podman, imageStore: additional } }\n  basic: { engine: podman,'),
    });
    await product.lock();
    await product.compose();
    const path = (name: string) => join(product.out, `acme-1.0.0/tiny-podman-${name}`);
    const [plain, sealed] = [await debugfsOf(path('basic')), await debugfsOf(path('sealed'))];
    expect(await plain('rootfs', 'cat /etc/containers/storage.conf')).toBe(conf('"/usr/lib/containers/storage"'));
    expect(await sealed('rootfs', 'cat /etc/containers/storage.conf')).toBe(conf('"/var/lib/boxship/images", "/usr/lib/containers/storage"'));
    const dropIn = 'cat /usr/lib/systemd/system/run-boxship-store.mount.d/10-boxship.conf';
    expect([await plain('rootfs', dropIn), await sealed('rootfs', dropIn)]).toEqual(['', expect.stringContaining('\nOptions=noatime,ro\n')]);
    expect(await sealed('rootfs', 'stat /var/lib/boxship/images/overlay-images/images.lock')).toContain('Type: regular');
    expect(await sealed('data', 'ls -p /')).toMatch(/\/040700\/0\/0\/podman\//);
    const sums = await Promise.all([plain, sealed].map((ask) => ask('store', 'cat /store.sums')));
    expect(sums.map((text) => /podman\/overlay-images\/images\.json/.test(text))).toEqual([false, true]);
    // what is in it is told without podman
    const store = await inspectPath(join(path('sealed'), 'acme-1.0.0-tiny-sealed.img'), { cache: product.cache });
    expect(JSON.stringify(store)).toContain(`"stores":[{"engine":"podman","folder":"/podman","images":[{"names":["${IMAGE}"]`);

    const update = async (from: string) => {
      const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
      return await updateApps(open, from, { out: join(product.folder, 'updated'), dryRun: true });
    };
    // a device that was made for the one is not given the other: its graph root lies elsewhere
    await product.edit('boxship.yaml', (text) => text.replace('imageStore: additional', 'imageStore: graphroot'));
    await expect(update(path('sealed'))).rejects.toMatchObject({ code: 'ENGINE_CONFLICT' });
    await product.edit('boxship.yaml', (text) => text.replace('{ name: podman, imageStore: graphroot }', 'podman'));
    await update(path('sealed')); // what the artifact was made with
    await product.edit('boxship.yaml', (text) => text.replace('{ engine: podman,', '{ engine: { name: podman, imageStore: additional },'));
    await expect(update(path('basic'))).rejects.toMatchObject({ code: 'OTHER_IMAGE_STORE' });
  }); // prettier-ignore
});
