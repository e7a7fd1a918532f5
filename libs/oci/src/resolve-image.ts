import { UserError, type Descriptor, type Digest, type Platform } from '@boxship/model';
import type { Cache } from '@boxship/host';
import { cacheBytes, readCachedBytes } from './blob-cache.ts';
import { sizeMismatch, type FoundManifest, type ImageSource, type ManifestOrigin } from './image-source.ts';
import { parseManifest, type Index, type IndexEntry, type Manifest } from './manifest.ts';
import { isIndexType } from './media-type.ts';
import { isImageEntry, selectManifest } from './platform-matching.ts';
import { familiarName, type Reference } from './reference.ts';

/** Indexes inside of indexes, and all indexes of one image; real ones have one or two. */
const INDEX_DEPTH_MAX = 4;
const INDEX_COUNT_MAX = 32;

/** What an earlier resolution found, as the lock keeps it. */
export interface PinnedImage {
  readonly index?: Digest;
  readonly manifest: Digest;
  /** Default: `source`. */
  readonly origin?: ManifestOrigin;
}

/** The manifest that a reference means on one platform. */
export interface ResolvedImage {
  /** Digest of the index that the reference named, when it named one. */
  readonly index?: Digest;
  readonly manifest: Descriptor;
  /** Bytes of the manifest, as they were served; verified. */
  readonly manifestBytes: Uint8Array;
  readonly document: Manifest;
  /** What the index says about the manifest's platform. */
  readonly listed?: Platform;
  readonly origin: ManifestOrigin;
}

/** Only the part of a source that gives manifests. */
export type ManifestSource = Pick<ImageSource, 'name' | 'find'>;

/**
 * The manifest of `reference` for `platform`, through nested indexes. Nothing but manifests is read.
 * Errors: PLATFORM_MISSING (lists what there is), BAD_MANIFEST, and those of the source.
 */
export async function resolveImage(
  source: ManifestSource,
  reference: Reference,
  platform: Platform,
  options: { readonly pinned?: PinnedImage; readonly signal?: AbortSignal } = {},
): Promise<ResolvedImage> {
  const { pinned, signal } = options;
  const digest = pinned?.manifest ?? reference.digest;
  let found = await source.find({ ...reference, ...(digest === undefined ? {} : { digest }) }, signal);
  const top = pinned ? pinned.index : found.document.kind === 'index' ? found.descriptor?.digest : undefined;
  // an engine keeps the index beside the manifest, so it must be in the cache, though nothing of it is asked any more
  const pinnedIndex = pinned?.index && (await source.find({ ...reference, digest: pinned.index }, signal));
  let listed: Platform | undefined = pinnedIndex ? platform : undefined;
  const read = { count: 0 };
  for (let depth = 0; found.document.kind === 'index'; depth++) {
    if (depth >= INDEX_DEPTH_MAX) throw tooNested(reference);
    const flat = await flatten(source, reference, found.document, depth, read, signal);
    const entry = selectManifest(flat, platform, familiarName(reference));
    listed = entry.platform ?? listed;
    found = await findEntry(source, reference, entry, signal);
  }
  if (!found.descriptor) throw new Error('a manifest without a descriptor');
  const index = top === undefined ? {} : { index: top };
  return {
    ...index,
    manifest: found.descriptor,
    manifestBytes: found.bytes,
    document: found.document,
    ...(listed === undefined ? {} : { listed }),
    origin: pinned?.origin ?? found.origin,
  };
}

/** The index with every nested index that names no platform replaced by its entries. */
async function flatten(
  source: ManifestSource,
  reference: Reference,
  index: Index,
  depth: number,
  read: { count: number },
  signal: AbortSignal | undefined,
): Promise<Index> {
  const manifests: IndexEntry[] = [];
  for (const entry of index.manifests) {
    if (!isIndexType(entry.mediaType) || entry.platform || !isImageEntry(entry)) {
      manifests.push(entry);
      continue;
    }
    if (depth + 1 >= INDEX_DEPTH_MAX || ++read.count > INDEX_COUNT_MAX) throw tooNested(reference);
    const { document } = await findEntry(source, reference, entry, signal);
    if (document.kind === 'index') {
      manifests.push(...(await flatten(source, reference, document, depth + 1, read, signal)).manifests);
    }
  }
  return { ...index, manifests };
}

function tooNested(reference: Reference): UserError {
  return new UserError(
    'BAD_MANIFEST',
    `${familiarName(reference)} nests indexes more than ${INDEX_DEPTH_MAX} deep, or has more than ${INDEX_COUNT_MAX}`,
  );
}

async function findEntry(
  source: ManifestSource,
  reference: Reference,
  entry: IndexEntry,
  signal: AbortSignal | undefined,
): Promise<FoundManifest> {
  const found = await source.find({ ...reference, digest: entry.digest }, signal);
  if (found.bytes.length !== entry.size) {
    throw sizeMismatch(`manifest ${entry.digest}`, entry.size, String(found.bytes.length), source.name);
  }
  return found;
}

/** `source`, with manifests kept in the cache: one that is asked for by its digest is read there first. */
export function withCachedDocuments(source: ManifestSource, cache: Cache, offline: boolean): ManifestSource {
  return {
    name: source.name,
    async find(reference, signal) {
      const { digest } = reference;
      const kept = digest === undefined ? undefined : await readCachedBytes(cache, digest);
      if (kept && digest !== undefined) {
        const document = parseManifest(kept, `manifest ${digest} of ${familiarName(reference)}`);
        const descriptor = { mediaType: document.mediaType, digest, size: kept.length };
        return { descriptor, bytes: kept, document, origin: 'source' };
      }
      if (offline) throw offlineMissing(cache, reference);
      const found = await source.find(reference, signal);
      if (found.descriptor) await cacheBytes(cache, found.descriptor.digest, found.bytes);
      return found;
    },
  };
}

function offlineMissing(cache: Cache, reference: Reference): UserError {
  const { digest } = reference;
  return new UserError(
    'OFFLINE_MISSING',
    digest === undefined
      ? `${familiarName(reference)} has no digest, so it cannot be looked up without asking where it comes from`
      : `the cache ${cache.root} lacks the manifest ${digest} of ${familiarName(reference)}`,
    'Run "boxship lock" where the image can be reached, or bring its cache along (BOXSHIP_CACHE).',
  );
}
