import { readFile } from 'node:fs/promises';
import type { Cache } from '@boxship/host';
import { BranchTables } from '@boxship/filesystem';
import { openImageLayer } from '@boxship/image-layers';
import {
  UserError,
  type ContainerImage,
  type Descriptor,
  type Digest,
  type ImageLayer,
  type LockedImage,
} from '@boxship/model';
import { blobPath, hasBlob, parsePlatform, readCachedBytes } from '@boxship/oci';
import { digestOfBytes } from './release.ts';

/** Opens locked images from the cache alone; a layer that several images hold is opened once. */
export interface LockedImages {
  /** Errors: NOT_IN_CACHE, WRONG_DIGEST. */
  open(image: LockedImage): Promise<ContainerImage>;
  /** Entries of all layers of these images, each layer once: what a store of them has to lay out. */
  entryCount(images: readonly LockedImage[]): Promise<number>;
  /** Layers that were laid out, for the stores of other variants. */
  readonly laidOut: BranchTables;
}

/** Entries of layers that stay laid out until a variant needs them again: what is written together has as many at most. */
const LAID_OUT_ENTRIES = 1_200_000;

export function lockedImages(cache: Cache): LockedImages {
  const layers = new Map<string, Promise<ImageLayer>>();
  const openLayer = ({ blob, diffId }: LockedImage['layers'][number]) => {
    const key = `${blob.digest} ${diffId}`;
    let layer = layers.get(key);
    if (!layer) {
      layer = openImageLayer({ blobPath: blobPath(cache, blob.digest), blob, diffId }, cache);
      layers.set(key, layer);
    }
    return layer;
  };
  const readIndex = async (digest: Digest, reference: string): Promise<Uint8Array> => {
    const bytes = await readCachedBytes(cache, digest);
    if (bytes) return bytes;
    throw notInCache(digest, reference);
  };
  const notInCache = (digest: Digest, reference: string) =>
    new UserError('NOT_IN_CACHE', `${digest} of ${reference} is not in the cache ${cache.root}`, 'Run: boxship lock');
  const open = async (image: LockedImage): Promise<ContainerImage> => {
    const { reference, platform, manifest, config, index } = image;
    for (const blob of [manifest, config, ...image.layers.map((layer) => layer.blob)]) {
      if (await hasBlob(cache, blob)) continue;
      throw notInCache(blob.digest, reference);
    }
    return {
      reference,
      platform: parsePlatform(platform),
      ...(index ? { index, indexBytes: await readIndex(index, reference) } : {}),
      manifest,
      ...(image.manifestSynthesized ? { manifestSynthesized: true } : {}),
      manifestBytes: await readBlob(cache, manifest),
      config,
      configBytes: await readBlob(cache, config),
      layers: await Promise.all(image.layers.map(openLayer)),
    };
  };
  return {
    open,
    laidOut: new BranchTables(LAID_OUT_ENTRIES),
    async entryCount(images) {
      const counts = new Map<string, number>();
      for (const image of images) {
        for (const { blob, inventory } of (await open(image)).layers) counts.set(blob.digest, inventory.entryCount);
      }
      return [...counts.values()].reduce((sum, count) => sum + count, 0);
    },
  };
}

async function readBlob(cache: Cache, { digest }: Descriptor): Promise<Uint8Array> {
  const path = blobPath(cache, digest);
  const bytes = await readFile(path);
  const found = digestOfBytes(bytes);
  if (found === digest) return bytes;
  throw new UserError(
    'WRONG_DIGEST',
    `${path} has the digest ${found}`,
    'The cache is damaged: remove this file and run boxship lock.',
  );
}
