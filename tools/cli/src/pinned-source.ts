import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Lock } from '@boxship/catalog';
import type { Cache } from '@boxship/host';
import type { Digest, LockedImage } from '@boxship/model';
import { blobPath, formatReference, parseManifest, type FoundManifest, type ImageSource } from '@boxship/oci';

/**
 * `source`, which answers for a tag what the lock pinned, wherever the tag points today, and from the cache when that has
 * it: a cache that is full needs no network.
 */
export function pinnedSource(source: ImageSource, lock: Lock, cache: Cache): ImageSource {
  const pins = new Map<string, LockedImage>(lock.images.map((image) => [image.reference, image]));
  return {
    ...source,
    async find(reference, signal) {
      const pin = reference.digest === undefined ? pins.get(formatReference(reference)) : undefined;
      if (!pin) return await source.find(reference, signal);
      const digest = pin.index ?? pin.manifest.digest;
      return (await findInCache(cache, digest)) ?? (await source.find({ ...reference, digest }, signal));
    },
  };
}

async function findInCache(cache: Cache, digest: Digest): Promise<FoundManifest | undefined> {
  const bytes = await readFile(blobPath(cache, digest)).catch(() => undefined);
  if (!bytes || `sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest) return undefined;
  const document = parseManifest(bytes, `the manifest ${digest}`);
  return {
    descriptor: { mediaType: document.mediaType, digest, size: bytes.length },
    bytes,
    document,
    origin: 'source',
  };
}
