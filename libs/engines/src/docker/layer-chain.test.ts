import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { ContainerImage, Digest, ImageLayer, LayerInventory, TreeEntry } from '@boxship/model';
import { bytesSource } from '@boxship/model';
import { chainLayers } from './layer-chain.ts';
import { dockerStore } from './store.ts';

const sha256 = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`;

function layer(name: string): ImageLayer {
  const inventory: LayerInventory = {
    entries: () => [],
    entryCount: 0,
    deviceCount: 0,
    fileBytes: 12,
    hasDuplicates: false,
    tarSplit: bytesSource(`tar-split ${name}`, Buffer.from('x')),
  };
  const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256(`blob ${name}`), size: 1 };
  return { blob, diffId: sha256(name), content: bytesSource(name, Buffer.alloc(0)), inventory };
}

function image(reference: string, layers: readonly ImageLayer[], rest: Partial<ContainerImage> = {}): ContainerImage {
  const configBytes = Buffer.from(`config of ${reference}`);
  const manifestBytes = Buffer.from(`manifest of ${reference}`);
  return {
    reference,
    platform: { os: 'linux', architecture: 'amd64' },
    manifest: { mediaType: 'm', digest: sha256(String(manifestBytes)), size: manifestBytes.length },
    manifestBytes,
    config: { mediaType: 'c', digest: sha256(String(configBytes)), size: configBytes.length },
    configBytes,
    layers,
    ...rest,
  };
}

async function textAt(entries: Iterable<TreeEntry>, path: string): Promise<string> {
  const found = [...entries].find((entry) => entry.path === path);
  const chunks: Uint8Array[] = [];
  if (found!.content) for await (const chunk of found!.content.source.open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('chainLayers', () => {
  it('makes chain ids as the OCI specification says (sha256sum)', async () => {
    const [a, b, c] = chainLayers(image('x:1', [layer('a'), layer('b'), layer('c')]));
    const sum = async (text: string) => (await runProgram('sha256sum', [], { input: text })).stdout.toString().slice(0, 64);
    expect(a!.chainId).toBe(a!.layer.diffId);
    expect(b!.chainId).toBe(`sha256:${await sum(`${a!.chainId} ${b!.layer.diffId}`)}`);
    expect(c!.chainId).toBe(`sha256:${await sum(`${b!.chainId} ${c!.layer.diffId}`)}`);
    expect([a!.parent, c!.parent]).toEqual([undefined, b]);
  }); // prettier-ignore

  it('names folders after content: equal chains have equal names, others do not', () => {
    const [first, second] = [chainLayers(image('x:1', [layer('a'), layer('b')])), chainLayers(image('y:2', [layer('a'), layer('c')]))];
    expect(first[0]!.cacheId).toBe(second[0]!.cacheId);
    expect(first[1]!.cacheId).not.toBe(second[1]!.cacheId);
    for (const { cacheId, shortName } of [...first, ...second]) {
      expect(cacheId).toMatch(/^[0-9a-f]{64}$/);
      expect(shortName).toMatch(/^[A-Z2-7]{26}$/);
    }
  }); // prettier-ignore

  it('is as base32 of coreutils', async () => {
    const [{ chainId, shortName }] = chainLayers(image('x:1', [layer('a')])) as [ReturnType<typeof chainLayers>[0]];
    const input = createHash('sha256').update(`boxship overlay2/l ${chainId}`).digest();
    expect((await runProgram('base32', [], { input })).stdout.toString().slice(0, 26)).toBe(shortName);
  });

  it('refuses more layers than overlay2 mounts', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => layer(String(i)));
    expect(chainLayers(image('x:1', many(125)))).toHaveLength(125);
    expect(() => chainLayers(image('x:1', many(126)))).toThrow(/126 layers; docker's overlay2 takes 125/);
  });
});

describe('dockerStore', () => {
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

  it('says which layer a path comes from', () => {
    const top = layer('b');
    const { layers, layerAt } = dockerStore([image('a:1', [layer('a'), top])], { epoch: 1 });
    const diff = [...layers.entries()].filter(({ path }) => path.endsWith('/diff')).at(-1)!.path;
    expect(layerAt(`${diff}/etc/passwd`)).toEqual({ layer: top, path: 'etc/passwd' });
    expect(layerAt(diff)).toBeUndefined();
    expect(layerAt('apps/app/units')).toBeUndefined();
  });
});
