import {
  digestHex,
  treeOfParts,
  type ContainerImage,
  type Digest,
  type ImageLayer,
  type TreeEntry,
  type TreePart,
} from '@boxship/model';
import type { Preload, PreloadOptions } from '../engine.ts';
import { directory, generatedFile, streamedFile, symlink } from '../entries.ts';
import { splitReference } from '../image-name.ts';
import { chainLayers, linkName, sha256, uniqueLayers, type ChainedLayer } from '../layer-chain.ts';
import { overlayDiff } from '../overlay-diff.ts';

/** Folder of the store partition that the device mounts on /var/lib/docker. */
const ROOT = 'docker';

/** moby layer/layer_store.go `maxLayerDepth`. */
const LIMIT = { engine: "docker's overlay2", layers: 125 };

/** Name of a layer's folder in `overlay2/`: any unique 64 hex digits. Derived from the chain id, so that a store is deterministic. */
export function cacheIdOf({ chainId }: ChainedLayer): string {
  return digestHex(sha256(`boxship overlay2 ${chainId}`));
}

/** Name of a layer's link in `overlay2/l/`. */
export function shortNameOf({ chainId }: ChainedLayer): string {
  return linkName(`boxship overlay2/l ${chainId}`);
}

/**
 * docker's data root with the overlay2 driver, as dockerd 20.10 to 28 reads and writes it (moby layer/filestore.go,
 * image/fs.go, reference/store.go, distribution/metadata, daemon/graphdriver/overlay2): images listed, runnable and
 * saveable, with RepoDigests, and later pulls reuse the layers. Ids are derived from content, so equal images make equal
 * stores.
 */
export function dockerStore(images: readonly ContainerImage[], { epoch }: PreloadOptions): Preload {
  const unique = uniqueLayers(images.map((image) => chainLayers(image, LIMIT)));
  return {
    layers: treeOfParts(() => overlay2Parts(unique, epoch)),
    state: { entries: () => imageEntries(images, unique, epoch) },
    verified: { entries: () => verifiedEntries(images, unique, epoch) },
    imageIds: new Map(images.map(({ reference, config }) => [reference, config.digest])),
  };
}

function* overlay2Parts(layers: readonly ChainedLayer[], epoch: number): Iterable<TreePart> {
  const root = `${ROOT}/overlay2`;
  yield directory(root, 0o710, epoch);
  yield directory(`${root}/l`, 0o710, epoch);
  for (const layer of layers) yield symlink(`${root}/l/${shortNameOf(layer)}`, `../${cacheIdOf(layer)}/diff`, epoch);
  for (const chained of layers) {
    const folder = `${root}/${cacheIdOf(chained)}`;
    yield directory(folder, 0o710, epoch);
    yield* layerLinks(chained, epoch);
    yield generatedFile(`${folder}/committed`, '', 0o600, epoch);
    if (chained.parent) yield directory(`${folder}/work`, 0o700, epoch);
    yield overlayDiff(chained.layer, `${folder}/diff`, directory('', 0o755, epoch), epoch);
  }
}

function* layerLinks(chained: ChainedLayer, epoch: number): Iterable<TreeEntry> {
  const folder = `${ROOT}/overlay2/${cacheIdOf(chained)}`;
  yield generatedFile(`${folder}/link`, shortNameOf(chained), 0o644, epoch);
  if (chained.parent) yield generatedFile(`${folder}/lower`, lowerOf(chained), 0o644, epoch);
}

/** Nearest first, as the kernel's `lowerdir=` wants it. */
function lowerOf(chained: ChainedLayer): string {
  const names: string[] = [];
  for (let at = chained.parent; at; at = at.parent) names.push(`l/${shortNameOf(at)}`);
  return names.join(':');
}

function* imageEntries(
  images: readonly ContainerImage[],
  layers: readonly ChainedLayer[],
  epoch: number,
): Iterable<TreeEntry> {
  const folder = (path: string, mode = 0o700) => directory(path, mode, epoch);
  const file = (path: string, text: string | Uint8Array, mode = 0o644) => generatedFile(path, text, mode, epoch);
  const image = `${ROOT}/image/overlay2`;
  yield folder(ROOT, 0o710);
  yield folder(`${ROOT}/image`);
  yield folder(image);
  yield file(`${image}/repositories.json`, repositoriesJson(images), 0o600);

  yield folder(`${image}/imagedb`);
  yield folder(`${image}/imagedb/content`);
  yield folder(`${image}/imagedb/content/sha256`);
  for (const [id, config] of new Map(images.map((one) => [one.config.digest, one.configBytes]))) {
    yield file(`${image}/imagedb/content/sha256/${digestHex(id)}`, config, 0o600);
  }
  yield folder(`${image}/imagedb/metadata`);
  yield folder(`${image}/imagedb/metadata/sha256`);

  yield folder(`${image}/layerdb`);
  yield folder(`${image}/layerdb/sha256`);
  for (const chained of layers) {
    const { chainId, parent, layer } = chained;
    const path = `${image}/layerdb/sha256/${digestHex(chainId)}`;
    yield folder(path, 0o755);
    yield file(`${path}/cache-id`, cacheIdOf(chained));
    yield file(`${path}/diff`, layer.diffId);
    if (parent) yield file(`${path}/parent`, parent.chainId);
    yield file(`${path}/size`, String(layer.inventory.fileBytes));
    yield streamedFile(`${path}/tar-split.json.gz`, layer.inventory.tarSplit, 0o644, epoch);
  }

  const distribution = `${image}/distribution`;
  const byDiffId = blobsByDiffId(images);
  yield folder(distribution);
  yield folder(`${distribution}/diffid-by-digest`);
  yield folder(`${distribution}/diffid-by-digest/sha256`, 0o755);
  const diffIdByBlob = new Map<Digest, Digest>();
  for (const [diffId, blobs] of byDiffId) for (const { Digest: blob } of blobs) diffIdByBlob.set(blob, diffId);
  for (const [blob, diffId] of diffIdByBlob) {
    yield file(`${distribution}/diffid-by-digest/sha256/${digestHex(blob)}`, diffId);
  }
  yield folder(`${distribution}/v2metadata-by-diffid`);
  yield folder(`${distribution}/v2metadata-by-diffid/sha256`, 0o755);
  for (const [diffId, blobs] of byDiffId) {
    yield file(`${distribution}/v2metadata-by-diffid/sha256/${digestHex(diffId)}`, JSON.stringify(blobs));
  }
  yield folder(`${ROOT}/volumes`, 0o701); // the device mounts the data partition's volumes here
}

interface BlobMetadata {
  readonly Digest: Digest;
  readonly SourceRepository: string;
  readonly HMAC: string;
}

/** Only blobs that a registry can serve: those of a `docker save` archive have no digest anywhere else. */
function blobsByDiffId(images: readonly ContainerImage[]): ReadonlyMap<Digest, readonly BlobMetadata[]> {
  const found = new Map<Digest, BlobMetadata[]>();
  for (const image of images.filter((one) => !one.manifestSynthesized)) {
    const { repository } = splitReference(image.reference);
    for (const { diffId, blob } of image.layers as readonly ImageLayer[]) {
      const blobs = found.get(diffId) ?? [];
      found.set(diffId, blobs);
      if (blobs.some((one) => one.Digest === blob.digest && one.SourceRepository === repository)) continue;
      blobs.push({ Digest: blob.digest, SourceRepository: repository, HMAC: '' });
    }
  }
  return found;
}

/**
 * Name and tag to image id. The `@digest` keys give RepoDigests, so that `name@sha256:…` runs offline: the manifest's
 * digest, and the index's when the reference named one, which is what a pull by tag records.
 */
function repositoriesJson(images: readonly ContainerImage[]): string {
  // no prototype: an image may be called "constructor"
  const repositories: Record<string, Record<string, string>> = Object.create(null) as Record<string, never>;
  for (const image of images) {
    const { repository, tag } = splitReference(image.reference);
    const name = familiarName(repository);
    const entries = (repositories[name] ??= {});
    if (tag) entries[`${name}:${tag}`] = image.config.digest;
    if (image.manifestSynthesized) continue;
    entries[`${name}@${image.manifest.digest}`] = image.config.digest;
    if (image.index) entries[`${name}@${image.index}`] = image.config.digest;
  }
  return JSON.stringify({ Repositories: sorted(repositories, (entries) => sorted(entries, (id) => id)) });
}

function sorted<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((key) => [key, map(record[key]!)]),
  );
}

/** As docker shows a name: `docker.io/library/busybox` is `busybox` (distribution/reference `FamiliarName`). */
function familiarName(repository: string): string {
  if (!repository.startsWith('docker.io/')) return repository;
  const path = repository.slice('docker.io/'.length);
  const official = path.startsWith('library/') ? path.slice('library/'.length) : path;
  return official.includes('/') ? path : official;
}

/** What decides which bytes a container sees: configurations, and how layers are stacked. */
function* verifiedEntries(
  images: readonly ContainerImage[],
  layers: readonly ChainedLayer[],
  epoch: number,
): Iterable<TreeEntry> {
  const decisive = /\/(imagedb\/content\/sha256\/\w+|layerdb\/sha256\/\w+\/(cache-id|diff|parent|size))$/;
  for (const entry of imageEntries(images, layers, epoch)) if (decisive.test(entry.path)) yield entry;
  for (const layer of layers) yield* layerLinks(layer, epoch);
}
