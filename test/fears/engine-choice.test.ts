import { describe, expect, it } from 'vitest';
import { fearProduct } from './fear-product.ts';

// One product file, several engines: a variant's goes before its machine's, and that before the product's.

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

  it.each(['containerd', 'k3s', 'constructor'])('%s: no store of it can be made, and plan says which can', async (engine) => {
    await using product = await fearProduct({ yaml: (text) => text.replace('basic: {', `basic: { engine: ${engine},`) });
    await product.lock();
    await expect(product.plan()).rejects.toMatchObject({
      code: 'UNKNOWN_ENGINE',
      problems: [{ hint: 'Known: docker, podman.' }],
    });
  }); // prettier-ignore

  it('docker has no other store than overlay2 yet: to ask for one is an error with its place', async () => {
    const made = fearProduct({ yaml: (text) => `${text}engine: { name: docker, store: containerd }\n` }).then((product) => product.lock()); // prettier-ignore
    await expect(made).rejects.toThrow(/boxship\.yaml:\d+:\d+: .*"store"/);
  });
});
