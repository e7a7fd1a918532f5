import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProduct, updateApps, verifyRelease } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { installTezi, installTeziOnNand } from '../lab/tezi-installer.mjs';
import { fearProduct, IMAGE, refusal, type FearProduct } from './fear-product.ts';
import { payloadByTools } from './payload-by-tools.ts';

// An OSTree system of Torizon's kind: its deployment is never edited, the app goes where its own service looks for it.

const APP = randomBytes(3 << 20);
const VAR = '/ostree/deploy/torizon/var';
let product: FearProduct;

/** The sysroot that `ostree admin deploy` would leave, with the tiny base as its deployment. */
const SYSROOT = `dd if=vendor.img of=rootfs.img bs=1M skip=${ROOTFS_START >> 20} status=none
  system=sys/ostree/deploy/torizon; mkdir -p tezi $system/deploy $system/var sys/ostree/repo root
  debugfs -R 'rdump / root' rootfs.img 2>/dev/null; rm -r root/lost+found; mv root $system/deploy/4711.0; touch $system/deploy/4711.0.origin
  echo '[core]' >sys/ostree/repo/config; echo '[Service]' >$system/deploy/4711.0/usr/lib/systemd/system/docker-compose.service
  tar -C sys --owner=0 --group=0 -cJf tezi/torizon.ota.tar.xz .`;

beforeAll(async () => {
  product = await fearProduct({
    layers: [[{ name: 'bin/', type: 'directory', mode: 0o755 }, { name: 'bin/app', mode: 0o755, body: APP }]],
    yaml: (text) => `${text.replace('./vendor.img', './tezi')}artifacts: [tezi: { onlineProvisioning: ./online.json }]\n`,
  });
  await runProgram('sh', ['-ec', SYSROOT], { cwd: product.folder });
  const content = { label: 'otaroot', filesystem_type: 'ext4', filename: 'torizon.ota.tar.xz', uncompressed_size: 8 };
  const blockdevs = [{ name: 'emmc', partitions: [{ partition_size_nominal: 64, want_maximised: true, content }] }];
  const json = { config_format: '2', name: 'Torizon', supported_product_ids: ['0001'], blockdevs };
  await writeFile(product.path('tezi/image.json'), JSON.stringify(json));
  await product.write('online.json', '{"client_id":"1"}');
  await product.write('app/app.conf', 'colour = blue\n');
  await product.edit('app/compose.yaml', (text) => `${text}    volumes: ["data:/data", "./app.conf:/etc/acme.conf"]\nvolumes: { data: {} }\n`);
}); // prettier-ignore
afterAll(() => product[Symbol.asyncDispose]());

describe('an OSTree system of Torizon', () => {
  it('gets the project and the images of docker into its /var, and nothing else', async () => {
    await product.lock();
    const [plan] = await product.plan();
    expect(plan!.table.after.partitions.map(({ role }) => role)).toEqual(['rootfs']);
    expect(plan!.rootfs.changes.map(({ path }) => path)).toEqual(
      ['sota/storage/docker-compose/docker-compose.yml', 'sota/storage/docker-compose/target_name', 'sota/storage/docker-compose/files/app.conf', 'lib/docker'].map((path) => `${VAR}/${path}`),
    ); // prettier-ignore
    expect(plan!.warnings.join()).toContain('the device does not verify them');
    const [composed] = await product.compose();
    await verifyRelease(composed!.folder, product.keys.publicKeyPem);
    const { name, payload } = composed!.release.files[0]!;
    expect(await payloadByTools(join(composed!.folder, name), payload!)).toBe(payload!.digest);

    const image = product.path('unpacked');
    await mkdir(image);
    await runProgram('tar', ['-C', image, '--strip-components=1', '-xf', join(composed!.folder, name)]);
    await runProgram('cmp', [join(image, 'torizon.ota.tar.xz'), product.path('tezi/torizon.ota.tar.xz')]);
    const json = JSON.parse(await readFile(join(image, 'image.json'), 'utf8'));
    expect(json).toMatchObject({ config_format: 3, name: 'Torizon with acme', version: '1.0.0' });
    expect(json.blockdevs[0].partitions).toHaveLength(1);
    expect(json.blockdevs[0].partitions[0].content.filelist).toEqual([
      `docker-compose.tar:${VAR}/sota/storage/docker-compose/:true`,
      `docker-storage.tar:${VAR}/lib/docker/:true`,
      `boxship-online-provisioning.tar:${VAR}/sota/:true`,
    ]);

    // as an installer lays it out
    await mkdir(product.path('scratch'));
    const disk = product.path('disk.img');
    const [installed] = await installTezi({ folder: image, disk, size: 96 << 20, scratch: product.path('scratch') });
    const { start, size } = installed!;
    const rootfs = product.path('installed.img');
    await runProgram('dd', [`if=${disk}`, `of=${rootfs}`, 'bs=1M', `skip=${start >> 20}`, `count=${size >> 20}`, 'status=none']);
    const cat = async (path: string) => (await runProgram('debugfs', ['-R', `cat ${path}`, rootfs])).stdout;
    const project = `${VAR}/sota/storage/docker-compose`;
    expect((await cat(`${project}/target_name`)).toString()).toBe('docker-compose.yml');
    const compose = (await cat(`${project}/docker-compose.yml`)).toString();
    expect(compose).toContain(`image: "${IMAGE}"`);
    expect(compose).toContain('/var/sota/storage/docker-compose/files/app.conf:/etc/acme.conf');
    expect(compose).not.toMatch(/^name:|\/run\/boxship/m);
    expect((await cat(`${project}/files/app.conf`)).toString()).toBe('colour = blue\n');
    expect((await cat(`${VAR}/sota/auto-provisioning.json`)).toString()).toBe('{"client_id":"1"}');
    const names = JSON.parse((await cat(`${VAR}/lib/docker/image/overlay2/repositories.json`)).toString());
    const id: string = names.Repositories['registry.example.com/acme/app'][IMAGE];
    const config = await cat(`${VAR}/lib/docker/image/overlay2/imagedb/content/sha256/${id.slice(7)}`);
    expect(`sha256:${createHash('sha256').update(config).digest('hex')}`).toBe(id);
    const members = (await runProgram('tar', ['-tf', join(image, 'docker-storage.tar')])).stdout.toString().split('\n');
    expect([...new Set(members.map((one) => one.split('/')[0]))].sort()).toEqual(['', 'image', 'overlay2']);
    expect((await cat(`${VAR}/lib/docker/${members.find((one) => one.endsWith('/diff/bin/app'))}`)).equals(APP)).toBe(true);
    expect((await cat('/ostree/deploy/torizon/deploy/4711.0/etc/os-release')).toString()).toContain('ID=tiny');

    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    expect((await refusal(updateApps(open, composed!.folder, { out: product.path('again') }))).code).toBe('NO_STORE');
  }); // prettier-ignore

  it('gets them into a volume of NAND, too: as an installer lays it out, for mkfs.ubifs and ubinize', async () => {
    const text = await readFile(product.path('tezi/image.json'), 'utf8');
    const { blockdevs, ...rest } = JSON.parse(text);
    const [{ content }] = blockdevs[0].partitions;
    const ubivolumes = [
      { name: 'kernel', size_kib: 1024, content: { rawfile: { filename: 'zImage', size: 0.01 } } },
      { name: 'rootfs', content: { ...content, filesystem_type: 'ubifs' } },
    ];
    await product.write('tezi/zImage', Buffer.alloc(10_000, 'kernel'));
    await product.write('tezi/image.json', JSON.stringify({ ...rest, mtddevs: [{ name: 'ubi', ubivolumes }] }));
    try {
      await product.lock();
      const [composed] = await product.compose(product.path('nand'));
      const image = product.path('nand-image');
      await mkdir(image);
      const archive = join(composed!.folder, composed!.release.files[0]!.name);
      await runProgram('tar', ['-C', image, '--strip-components=1', '-xf', archive]);
      const ubi = product.path('ubi.img');
      let looked = 0;
      await installTeziOnNand({ folder: image, ubi, scratch: product.path('nand-scratch'), look: async (volume, root) => {
        looked++;
        expect(volume).toBe('rootfs');
        const read = async (path: string) => await readFile(join(root, path));
        expect((await read(`${VAR}/sota/storage/docker-compose/docker-compose.yml`)).toString()).toContain(`image: "${IMAGE}"`);
        const found = (await runProgram('find', [join(root, VAR, 'lib/docker/overlay2'), '-path', '*/diff/bin/app'])).stdout.toString().trim();
        expect((await readFile(found)).equals(APP)).toBe(true);
        expect((await read('ostree/deploy/torizon/deploy/4711.0/etc/os-release')).toString()).toContain('ID=tiny');
      } });
      expect(looked).toBe(1);
      const bytes = await readFile(ubi);
      expect(bytes.subarray(0, 4).toString()).toBe('UBI#'); // each erase block begins so
      expect([bytes.includes('kernel'), bytes.includes('rootfs'), bytes.length % (128 << 10)]).toEqual([true, true, 0]);
    } finally {
      await product.write('tezi/image.json', text);
    }
  }); // prettier-ignore

  it('is refused with every reason where its contract has no place for what is asked, and with containers in it', async () => {
    const yaml = await readFile(product.file, 'utf8');
    await product.edit('boxship.yaml', (text) =>
      text
        .replace('artifacts: [tezi:', 'engine: { name: docker, imageStore: containerd }\nartifacts: [raw, tezi:')
        .replace('apps:\n', 'apps:\n  second: { compose: ./second.yaml }\n')
        .replace('apps: [app]', 'apps: [app, second]'),
    );
    await product.write('second.yaml', `services: { other: { image: "${IMAGE}" } }\n`);
    await product.lock();
    const error = await refusal(product.compose(product.path('no')));
    expect(error.problems.map(({ code, message }) => `${code} ${message.split(/[,;]/)[0]}`)).toEqual([
      'TORIZON_CONTRACT of an OSTree system an image for the installer alone can be made',
      "TORIZON_CONTRACT Torizon's service starts docker with its own image store",
      "TORIZON_CONTRACT Torizon's service starts one Compose file",
    ]);

    await writeFile(product.file, yaml);
    const append = `xz -d tezi/torizon.ota.tar.xz && mkdir -p more${VAR}/lib/docker/image && tar -C more -rf tezi/torizon.ota.tar .${VAR}/lib && xz tezi/torizon.ota.tar`;
    await runProgram('sh', ['-ec', append], { cwd: product.folder });
    await product.lock();
    expect((await refusal(product.plan())).code).toBe('CONTAINERS_IN_BASE');
    const drop = `xz -d tezi/torizon.ota.tar.xz && tar -f tezi/torizon.ota.tar --delete ./ostree/deploy/torizon/deploy/4711.0/usr/lib/systemd/system/docker-compose.service .${VAR}/lib && xz tezi/torizon.ota.tar`;
    await runProgram('sh', ['-ec', drop], { cwd: product.folder });
    await product.lock();
    expect((await refusal(product.plan())).code).toBe('NO_COMPOSE_SERVICE');
  });
});
