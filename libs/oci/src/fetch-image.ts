import { readFile } from 'node:fs/promises';
import { formatPlatform, UserError, type Descriptor, type Digest, type Platform } from '@boxship/model';
import { silent, type Cache, type Progress, type ProgressStep } from '@boxship/host';
import { fetchBlob, hasBlob } from './blob-cache.ts';
import { CONFIG_SIZE_MAX, parseImageConfig, type ImageConfig } from './image-config.ts';
import { sha256Digest, type ImageSource, type ManifestOrigin } from './image-source.ts';
import { normalizePlatform, platformMissing, platformRank } from './platform-matching.ts';
import { familiarName, formatReference, parseReference, type Reference } from './reference.ts';
import { resolveImage, withCachedDocuments, type PinnedImage, type ResolvedImage } from './resolve-image.ts';

export interface FetchImageOptions {
  /** Digests of an earlier resolution: nothing is asked about the tag, and what the cache holds is not asked for again. */
  readonly pinned?: PinnedImage;
  /** Only the cache is read; what it lacks is an error that lists it. */
  readonly offline?: boolean;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** One layer of a fetched image; its bytes lie at `path`, verified against `blob` when they entered the cache. */
export interface FetchedLayer {
  readonly blob: Descriptor;
  /** Digest of the uncompressed tar, as the configuration says; verified by whoever inflates it. */
  readonly diffId: Digest;
  readonly path: string;
}

/** An image for one platform, every blob of it in the cache. */
export interface FetchedImage {
  /** Normalised, with the tag; without a digest unless only a digest was given. */
  readonly reference: string;
  /** The image's own platform, normalised (`linux/arm/v7`). */
  readonly platform: Platform;
  readonly index?: Digest;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly config: Descriptor;
  readonly configBytes: Uint8Array;
  /** Bottom layer first. */
  readonly layers: readonly FetchedLayer[];
  /** `synthesized`: no registry knows the manifest's digest, so it must give no RepoDigest. */
  readonly manifestOrigin: ManifestOrigin;
}

/**
 * The image that `reference` names in `source` for `platform`, all of it in the cache, every digest and size verified.
 * Layers come in parallel and resume where they broke off. Errors: BAD_REFERENCE, PLATFORM_MISSING, BAD_MANIFEST,
 * BAD_IMAGE_CONFIG, DIGEST_MISMATCH, SIZE_MISMATCH, CACHE_UNWRITABLE, OFFLINE_MISSING, and those of the source.
 */
export async function fetchImage(
  source: ImageSource,
  reference: string | Reference,
  platform: Platform,
  cache: Cache,
  options: FetchImageOptions = {},
): Promise<FetchedImage> {
  const { progress = silent, signal } = options;
  const asked = typeof reference === 'string' ? parseReference(reference) : reference;
  const documents = withCachedDocuments(source, cache, options.offline ?? false);
  const resolved = await resolveImage(documents, asked, platform, {
    ...(options.pinned ? { pinned: options.pinned } : {}),
    ...(signal ? { signal } : {}),
  });
  const { config, layers } = resolved.document;
  if (config.size > CONFIG_SIZE_MAX) {
    throw new UserError('BAD_IMAGE_CONFIG', `the configuration of ${familiarName(asked)} has ${config.size} bytes, ${CONFIG_SIZE_MAX} are allowed`); // prettier-ignore
  }
  if (options.offline) await refuseMissing(cache, asked, [config, ...layers]);
  const step = await startStep(progress, cache, asked, [config, ...layers]);
  try {
    const onBytes = (count: number) => step.advance(count);
    const blobOptions = { onBytes, ...(signal ? { signal } : {}) };
    const configBytes = await readConfig(config, cache, () => fetchBlob(source, asked, config, cache, blobOptions));
    const read = parseImageConfig(configBytes, layers.length, `the configuration of ${familiarName(asked)}`);
    const own = checkPlatform(resolved, read, platform, asked, progress);
    if (resolved.origin === 'synthesized') {
      progress.note(
        `${familiarName(asked)}: ${source.name} has no manifest from a registry; ${resolved.manifest.digest} is made up, and the image gets no RepoDigest`,
      );
    }
    const paths = await fetchAll(source, asked, layers, cache, onBytes, signal);
    return {
      reference: formatReference(asked.tag === undefined ? asked : withoutDigest(asked)),
      platform: own,
      ...(resolved.index === undefined ? {} : { index: resolved.index }),
      manifest: resolved.manifest,
      manifestBytes: resolved.manifestBytes,
      config,
      configBytes,
      layers: layers.map((blob, at) => ({ blob, diffId: read.diffIds[at]!, path: paths.get(blob.digest)! })),
      manifestOrigin: resolved.origin,
    };
  } finally {
    step.end();
  }
}

function withoutDigest({ registry, repository, tag }: Reference): Reference {
  return { registry, repository, ...(tag === undefined ? {} : { tag }) };
}

/** What was damaged in the cache is fetched anew. */
async function readConfig(config: Descriptor, cache: Cache, fetch: () => Promise<string>): Promise<Uint8Array> {
  const bytes = await readFile(await fetch());
  if (sha256Digest(bytes) === config.digest) return bytes;
  await cache.remove('blob', config.digest.slice('sha256:'.length));
  return await readFile(await fetch()); // verified as it comes in
}

/** The image's platform; a wrong one is an error, unless an index vouches for it. */
function checkPlatform(
  { listed, index, document }: ResolvedImage,
  config: ImageConfig,
  wanted: Platform,
  reference: Reference,
  progress: Progress,
): Platform {
  const actual = normalizePlatform(config.platform);
  if (index === undefined || listed === undefined) {
    if (platformRank(wanted, actual) === undefined) throw platformMissing(familiarName(reference), wanted, [actual]);
    return actual;
  }
  const claimed = normalizePlatform(listed);
  if (formatPlatform(claimed) !== formatPlatform(actual)) {
    progress.warn(
      `${familiarName(reference)}: the index says ${formatPlatform(claimed)}, the configuration ${document.config.digest} says ${formatPlatform(actual)}; the index is believed`,
    );
  }
  return claimed;
}

async function startStep(
  progress: Progress,
  cache: Cache,
  reference: Reference,
  blobs: readonly Descriptor[],
): Promise<ProgressStep> {
  let total = 0;
  for (const blob of unique(blobs)) if (!(await hasBlob(cache, blob))) total += blob.size;
  return total === 0 ? { advance: () => {}, end: () => {} } : progress.start(`fetch ${familiarName(reference)}`, total);
}

async function refuseMissing(cache: Cache, reference: Reference, blobs: readonly Descriptor[]): Promise<void> {
  const missing: Descriptor[] = [];
  for (const blob of unique(blobs)) if (!(await hasBlob(cache, blob))) missing.push(blob);
  if (missing.length === 0) return;
  const list = missing.map((blob) => `${blob.digest} (${blob.size} bytes)`).join(', ');
  throw new UserError(
    'OFFLINE_MISSING',
    `the cache ${cache.root} lacks ${missing.length} of ${blobs.length} blobs of ${familiarName(reference)}: ${list}`,
    'Run "boxship lock" where the image can be reached, or bring its cache along (BOXSHIP_CACHE).',
  );
}

function unique(blobs: readonly Descriptor[]): Descriptor[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

/** Paths of all layers. The first error stops the others, and nothing is written any more when it is thrown. */
async function fetchAll(
  source: ImageSource,
  reference: Reference,
  layers: readonly Descriptor[],
  cache: Cache,
  onBytes: (count: number) => void,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<Digest, string>> {
  const paths = new Map<Digest, string>();
  const queue = unique(layers);
  const stop = new AbortController();
  const combined = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const failures: unknown[] = [];
  const work = async () => {
    for (let blob = queue.shift(); blob && !combined.aborted; blob = queue.shift()) {
      paths.set(blob.digest, await fetchBlob(source, reference, blob, cache, { onBytes, signal: combined }));
    }
  };
  const workers = Array.from({ length: source.parallel }, () =>
    work().catch((error: unknown) => {
      failures.push(error);
      stop.abort();
    }),
  );
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
  signal?.throwIfAborted();
  return paths;
}
