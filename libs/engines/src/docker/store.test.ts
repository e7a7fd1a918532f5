import { describe, expect, it } from 'vitest';
import type { ContainerImage } from '@boxship/model';
import { chainLayers } from '../layer-chain.ts';
import { image, layer, sha256, textAt } from '../test-images.ts';
import { cacheIdOf, dockerStore, shortNameOf } from './store.ts';

describe('dockerStore', () => {
  it('names folders after content: equal chains have equal names, others do not', () => {
    const chain = (...names: string[]) => chainLayers(image('x:1', names.map(layer)), { engine: 'docker', layers: 9 });
    const [first, second] = [chain('a', 'b'), chain('a', 'c')];
    expect(cacheIdOf(first[0]!)).toBe(cacheIdOf(second[0]!));
    expect(cacheIdOf(first[1]!)).not.toBe(cacheIdOf(second[1]!));
    for (const one of [...first, ...second]) {
      expect(cacheIdOf(one)).toMatch(/^[0-9a-f]{64}$/);
      expect(shortNameOf(one)).toMatch(/^[A-Z2-7]{26}$/);
    }
  });

  const state = (images: readonly ContainerImage[]) => dockerStore(images, { epoch: 1 }).state.entries();
  const repositories = async (...images: ContainerImage[]) =>
    JSON.parse(await textAt(state(images), 'docker/image/overlay2/repositories.json')) as unknown;

  it('lists images as docker names them, with the digests that they were named by', async () => {
    const index = sha256('index');
    const busybox = image('docker.io/library/busybox:1.36', [layer('a')], { index });
    const saved = image('registry.example.com:5000/acme/app:2', [layer('a')], { manifestSynthesized: true });
    const pinned = image(`docker.io/acme/tool@${sha256('pin')}`, [layer('a')]);
    expect(await repositories(busybox, saved, pinned)).toEqual({
      Repositories: {
        busybox: {
          'busybox:1.36': busybox.config.digest,
          [`busybox@${busybox.manifest.digest}`]: busybox.config.digest,
          [`busybox@${index}`]: busybox.config.digest,
        },
        'registry.example.com:5000/acme/app': { 'registry.example.com:5000/acme/app:2': saved.config.digest },
        'acme/tool': { [`acme/tool@${pinned.manifest.digest}`]: pinned.config.digest },
      },
    });
  });

  it('is not confused by an image called "constructor"', async () => {
    const odd = image('docker.io/library/constructor:1', [layer('a')]);
    expect(await repositories(odd)).toMatchObject({ Repositories: { constructor: { 'constructor:1': odd.config.digest } } });
  }); // prettier-ignore

  it('holds a layer that several images share once, and no path twice', () => {
    const images = [image('a:1', [layer('base'), layer('a')]), image('b:1', [layer('base'), layer('b')])];
    const { layers, verified } = dockerStore(images, { epoch: 1 });
    const paths = [...state(images), ...layers.entries()].map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths.filter((path) => /overlay2\/[0-9a-f]{64}$/.test(path))).toHaveLength(3);
    for (const { path } of verified.entries()) expect(paths).toContain(path);
  });
});
