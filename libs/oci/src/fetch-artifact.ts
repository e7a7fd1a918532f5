import { UserError, type Descriptor, type Digest, type Platform } from '@boxship/model';
import { silent, type Cache, type Progress } from '@boxship/host';
import { fetchBlob, hasBlob } from './blob-cache.ts';
import type { FoundManifest, ImageSource } from './image-source.ts';
import { isArtifactEntry, platformRank } from './platform-matching.ts';
import { familiarName, type Reference } from './reference.ts';

export interface FetchArtifactOptions {
  /** Of an index, the entry for this platform is taken, or its only one. */
  readonly platform: Platform;
  /** The layer of an earlier resolution: the reference is not asked for again. */
  readonly pinned?: Descriptor;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** A file that an OCI artifact carries; its bytes lie at `path` in the cache, verified against `blob`. */
export interface FetchedArtifact {
  readonly blob: Descriptor;
  readonly path: string;
}

/**
 * The one layer of the OCI artifact that `reference` names, in the cache (image-spec manifest.md, "Guidelines for Artifact
 * Usage"; what `oras push` writes). Errors: BAD_ARTIFACT (no layer, or several, which are listed), PLATFORM_MISSING,
 * BAD_MANIFEST, DIGEST_MISMATCH, SIZE_MISMATCH, and those of the source.
 */
export async function fetchArtifact(
  source: ImageSource,
  reference: Reference,
  cache: Cache,
  { platform, pinned, progress = silent, signal }: FetchArtifactOptions,
): Promise<FetchedArtifact> {
  const name = familiarName(reference);
  const blob = pinned ?? (await onlyLayer(source, reference, platform, signal));
  const step = (await hasBlob(cache, blob)) ? undefined : progress.start(`fetch ${name}`, blob.size);
  try {
    const onBytes = (count: number) => step?.advance(count);
    return { blob, path: await fetchBlob(source, reference, blob, cache, { onBytes, ...(signal ? { signal } : {}) }) };
  } finally {
    step?.end();
  }
}

async function onlyLayer(
  source: ImageSource,
  reference: Reference,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const name = familiarName(reference);
  let found = await source.find(reference, signal, 'artifact');
  if (found.document.kind === 'index') {
    found = await source.find({ ...reference, digest: pickEntry(found, platform, name) }, signal, 'artifact');
  }
  const { document } = found;
  if (document.kind === 'index') throw badArtifact(name, 'it is an index of indexes');
  const [layer, ...more] = document.layers;
  if (!layer) throw badArtifact(name, 'it has no layer');
  if (more.length === 0) return layer;
  const list = document.layers.map(({ mediaType, size }) => `${mediaType} (${size} bytes)`).join(', ');
  throw badArtifact(name, `it has ${document.layers.length} layers: ${list}`);
}

function pickEntry({ document }: FoundManifest, platform: Platform, name: string): Digest {
  const entries = document.kind === 'index' ? document.manifests.filter(isArtifactEntry) : [];
  const ranked = entries
    .map((entry) => ({ entry, rank: entry.platform && platformRank(platform, entry.platform) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => a.rank! - b.rank!);
  const entry = ranked[0]?.entry ?? (entries.length === 1 ? entries[0] : undefined);
  if (entry) return entry.digest;
  throw badArtifact(name, `its index has ${entries.length} entries and none for the platform of the machine`);
}

function badArtifact(name: string, why: string): UserError {
  return new UserError(
    'BAD_ARTIFACT',
    `${name} is no artifact of one file: ${why}`,
    'Push the image of the disk as the one layer: oras push registry.example.com/acme/bsp:1.2 vendor.wic.zst',
  );
}
