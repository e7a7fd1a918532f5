import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import type { ContainerImage } from '@boxship/model';
import { startTestRegistry, type TestRegistry } from '@boxship/oci';
import { buildSampleImages, type SampleImage } from '../fixtures/images/build.mjs';
import { openSample } from './store-partition.ts';

export const GATEWAY = 'registry.example.com/acme/gateway';
export const HMI = 'registry.example.com/acme/hmi';
export const UP = { gateway: 'boxship-demo: gateway 1.0 is up (29 checks ok)', hmi: 'boxship-demo: hmi 1.0 is up (16 checks ok)', next: 'boxship-demo: gateway 2.0 is up (29 checks ok)' }; // prettier-ignore

/** The two sample images, and gateway 2.0, which differs from 1.0 in its last layer alone. */
export interface Samples {
  readonly gateway: SampleImage;
  readonly hmi: SampleImage;
  readonly next: SampleImage;
  /** gateway and hmi as a store is made of them. */
  readonly images: readonly ContainerImage[];
}

export async function makeSamples(folder: string): Promise<Samples> {
  const first = buildSampleImages({ folder: join(folder, 'images'), version: '1.0' });
  const second = buildSampleImages({ folder: join(folder, 'next'), version: '2.0' });
  const cache = join(folder, 'cache');
  await mkdir(cache, { recursive: true });
  const images = [
    await openSample(first.gateway, `${GATEWAY}:1.0`, cache),
    await openSample(first.hmi, `${HMI}:1.0`, cache),
  ];
  return { ...first, next: second.gateway, images };
}

/** Layers of the linux/amd64 image of a sample, as digests of blobs and as diff_ids. */
export async function layersOf(sample: SampleImage) {
  const blob = async (digest: string) =>
    JSON.parse(await readFile(join(sample.folder, 'blobs/sha256', digest.slice(7)), 'utf8')) as unknown;
  const manifest = (await blob(sample.manifest)) as { config: { digest: string }; layers: { digest: string }[] };
  const config = (await blob(manifest.config.digest)) as { rootfs: { diff_ids: string[] } };
  return {
    config: manifest.config.digest,
    blobs: manifest.layers.map(({ digest }) => digest),
    diffIds: config.rootfs.diff_ids,
  };
}

/** A registry that has gateway 1.0 and 2.0 and hmi; `pulled()` are the digests of the blobs that it has given out. */
export async function serveSamples({ gateway, hmi, next }: Samples): Promise<TestRegistry & { pulled(): string[] }> {
  const registry = await startTestRegistry();
  await registry.addLayout(gateway.folder, 'acme/gateway');
  await registry.addLayout(next.folder, 'acme/gateway');
  await registry.addLayout(hmi.folder, 'acme/hmi');
  const given = () =>
    registry.requests
      .filter(({ method }) => method === 'GET')
      .flatMap(({ path }) => /\/blobs\/(sha256:[0-9a-f]{64})/.exec(path)?.[1] ?? []);
  return { ...registry, pulled: () => [...new Set(given())].sort() };
}

/** Hashes of the layers in a `docker save` archive, in the order of its manifest, and of its configuration. */
export async function hashArchive(archive: string) {
  const member = async (path: string) => (await runProgram('tar', ['-x', '-O', '-f', archive, path])).stdout;
  const [manifest] = JSON.parse((await member('manifest.json')).toString()) as { Config: string; Layers: string[] }[];
  const layers: string[] = [];
  for (const layer of manifest!.Layers) layers.push(sha256(await member(layer)));
  return { config: sha256(await member(manifest!.Config)), layers };
}

export const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
