import { digestHex, treeOfParts, type ContainerImage, type Digest, type Tree, type TreeEntry } from '@boxship/model';
import type { Preload, PreloadOptions } from '../engine.ts';
import { directory, generatedFile, streamedFile, symlink } from '../entries.ts';
import { sha256, chainLayers, linkName, uniqueLayers, type ChainedLayer } from '../layer-chain.ts';
import { overlayDiff, surveyLayer } from '../overlay-diff.ts';
import type { PodmanImageStore } from './image-store.ts';
import { storedImages, type StoredImage } from './stored-image.ts';

/** Folder of the store partition that the device mounts on podman's graph root. */
const ROOT = 'podman';

/** containers/storage drivers/overlay/overlay.go `maxDepth`. */
const LIMIT = { engine: "podman's overlay", layers: 500 };

/**
 * A graph root of containers-storage with the overlay driver, as podman 4.3 to 5.8 reads and writes it (containers/storage
 * images.go, layers.go, drivers/overlay): images listed, runnable and saveable, also by the digests that a registry knows
 * them by, and later pulls reuse the layers. `store` says whether it is the writable one or an additional image store, which lies
 * on a read-only filesystem: the same but for what podman writes. Ids follow from content, so that equal images make equal stores.
 */
export function podmanStore(
  images: readonly ContainerImage[],
  store: PodmanImageStore,
  { epoch }: PreloadOptions,
): Preload {
  const layers = uniqueLayers(images.map((image) => chainLayers(image, LIMIT))).map(named());
  const ids = new Map(layers.map(({ chained, id }) => [chained.chainId, id]));
  const stored = storedImages(images, (image) => {
    const top = chainLayers(image, LIMIT).at(-1);
    return top && ids.get(top.chainId);
  });
  const placed = (entries: () => Iterable<TreeEntry>): Tree => ({
    *entries() {
      for (const entry of entries()) yield { ...entry, path: entry.path === '' ? ROOT : `${ROOT}/${entry.path}` };
    },
  });
  return {
    layers: treeOfParts(function* () {
      yield* placed(() => overlayFrame(layers, epoch)).entries();
      for (const one of layers) {
        yield* placed(() => layerFrame(one, epoch)).entries();
        // overlay.go `defaultPerms`, whatever the tar says of its root
        const root = directory('', 0o555, epoch);
        yield overlayDiff(one.chained.layer, `${ROOT}/overlay/${one.id}/diff`, root, epoch);
      }
    }),
    state: {
      *entries() {
        yield* placed(() => indexEntries(stored, layers, epoch)).entries();
        if (store === 'graphroot') yield* placed(() => graphRootEntries(epoch)).entries();
      },
    },
    verified: placed(() => verifiedEntries(stored, layers, store, epoch)),
    imageIds: new Map(images.map(({ reference, config }) => [reference, config.digest])),
  };
}

/** A layer and what containers-storage calls it. */
interface NamedLayer {
  readonly chained: ChainedLayer;
  /** containers/image storage/storage_dest.go `layerID`: the diff's digest, or that of the parent's id and it. */
  readonly id: string;
  readonly link: string;
  readonly parent?: NamedLayer;
}

function named(): (chained: ChainedLayer) => NamedLayer {
  const known = new Map<Digest, NamedLayer>();
  return (chained) => {
    const parent = chained.parent && known.get(chained.parent.chainId);
    const diff = digestHex(chained.layer.diffId);
    const id = parent ? digestHex(sha256(`${parent.id}+${diff}`)) : diff;
    const link = linkName(`boxship overlay/l ${id}`);
    const layer: NamedLayer = { chained, id, link, ...(parent ? { parent } : {}) };
    known.set(chained.chainId, layer);
    return layer;
  };
}

function* overlayFrame(layers: readonly NamedLayer[], epoch: number): Iterable<TreeEntry> {
  yield directory('overlay', 0o700, epoch);
  yield directory('overlay/l', 0o755, epoch);
  for (const { id, link } of layers) yield symlink(`overlay/l/${link}`, `../${id}/diff`, epoch);
}

function* layerFrame(layer: NamedLayer, epoch: number): Iterable<TreeEntry> {
  const folder = `overlay/${layer.id}`;
  yield directory(folder, 0o700, epoch);
  yield* layerLinks(layer, epoch);
  for (const name of ['work', 'merged', ...(layer.parent ? [] : ['empty'])]) {
    yield directory(`${folder}/${name}`, 0o700, epoch);
  }
}

function* layerLinks(layer: NamedLayer, epoch: number): Iterable<TreeEntry> {
  const folder = `overlay/${layer.id}`;
  yield generatedFile(`${folder}/link`, layer.link, 0o644, epoch);
  if (layer.parent) yield generatedFile(`${folder}/lower`, lowerOf(layer), 0o644, epoch);
}

/** Nearest first, as the kernel's `lowerdir=` wants it. */
function lowerOf(layer: NamedLayer): string {
  const names: string[] = [];
  for (let at = layer.parent; at; at = at.parent) names.push(`l/${at.link}`);
  return names.join(':');
}

function* indexEntries(
  images: readonly StoredImage[],
  layers: readonly NamedLayer[],
  epoch: number,
): Iterable<TreeEntry> {
  const folder = (path: string, mode = 0o700) => directory(path, mode, epoch);
  yield folder('');
  yield folder('overlay-images');
  yield generatedFile('overlay-images/images.json', imagesJson(images), 0o600, epoch);
  // made at need, which a read-only filesystem does not let
  yield generatedFile('overlay-images/images.lock', '', 0o600, epoch);
  for (const { id, bigData } of images) {
    yield folder(`overlay-images/${id}`);
    for (const [key, bytes] of bigData) {
      yield generatedFile(`overlay-images/${id}/${bigDataFile(key)}`, bytes, 0o600, epoch);
    }
  }
  yield folder('overlay-layers');
  yield generatedFile('overlay-layers/layers.json', layersJson(layers, epoch), 0o600, epoch);
  yield generatedFile('overlay-layers/layers.lock', '', 0o600, epoch);
  for (const { id, chained } of layers) {
    yield streamedFile(`overlay-layers/${id}.tar-split.gz`, chained.layer.inventory.tarSplit, 0o600, epoch);
  }
}

function* graphRootEntries(epoch: number): Iterable<TreeEntry> {
  // podman 4 takes images that it did not bring itself for those of an older podman, and goes back to CNI
  yield generatedFile('defaultNetworkBackend', 'netavark', 0o644, epoch);
  yield directory('volumes', 0o700, epoch); // the device mounts the data partition's volumes here
}

/** images.go `makeBigDataBaseName`: names of few characters stay, all others are told in base64. */
export function bigDataFile(key: string): string {
  return /^[a-z0-9.]+$/.test(key) ? key : `=${Buffer.from(key).toString('base64')}`;
}

function imagesJson(images: readonly StoredImage[]): string {
  return JSON.stringify(
    images.map(({ id, digest, names, topLayer, created, bigData }) => ({
      id,
      digest,
      names,
      'names-history': names,
      ...(topLayer === undefined ? {} : { layer: topLayer }),
      metadata: '{}',
      'big-data-names': [...bigData.keys()],
      'big-data-sizes': Object.fromEntries([...bigData].map(([key, bytes]) => [key, bytes.length])),
      'big-data-digests': Object.fromEntries([...bigData].map(([key, bytes]) => [key, sha256(bytes)])),
      created,
    })),
  );
}

/** containers/storage pkg/archive/archive.go `Compression`. */
const COMPRESSION = { none: 0, gzip: 2, zstd: 4 };

function layersJson(layers: readonly NamedLayer[], epoch: number): string {
  const created = new Date(epoch * 1000).toISOString().replace('.000', '');
  return JSON.stringify(
    layers.map(({ id, parent, chained: { layer } }) => {
      const { uids, gids } = surveyLayer(layer);
      return {
        id,
        ...(parent ? { parent: parent.id } : {}),
        created,
        'compressed-diff-digest': layer.blob.digest,
        'compressed-size': layer.blob.size,
        'diff-digest': layer.diffId,
        'diff-size': layer.content.size,
        compression: COMPRESSION[compressionOf(layer.blob.mediaType)],
        ...(uids.length > 0 ? { uidset: uids, gidset: gids } : {}),
      };
    }),
  );
}

/** By OCI image-spec layer.md and docker's manifest-v2-2.md. */
function compressionOf(mediaType: string): keyof typeof COMPRESSION {
  if (mediaType.endsWith('zstd')) return 'zstd';
  return mediaType.endsWith('gzip') ? 'gzip' : 'none';
}

/** What decides which bytes a container sees: configurations, and how layers are stacked. */
function* verifiedEntries(
  images: readonly StoredImage[],
  layers: readonly NamedLayer[],
  store: PodmanImageStore,
  epoch: number,
): Iterable<TreeEntry> {
  for (const entry of indexEntries(images, layers, epoch)) {
    // in a graph root, the engine writes the indexes again whenever an image or a layer comes or goes
    const isIndex = /^overlay-(images|layers)\/(images|layers)\.json$/.test(entry.path);
    const isDocument = /^overlay-images\/[0-9a-f]{64}\//.test(entry.path);
    if (entry.type === 'file' && (isDocument || (isIndex && store === 'additional'))) yield entry;
  }
  for (const layer of layers) yield* layerLinks(layer, epoch);
}
