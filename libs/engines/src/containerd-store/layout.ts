import { digestHex, type ContainerImage, type Descriptor, type Digest } from '@boxship/model';
import { chainLayers, uniqueLayers, type ChainedLayer } from '../layer-chain.ts';

/** Who uses the store, and how it calls images. */
export interface ContainerdNamespace {
  /** containerd's namespace: `default`, `moby`, `k8s.io`. */
  readonly name: string;
  /** Names under which an image is listed, beside its reference. */
  aliases(image: ContainerImage): readonly string[];
  /** Labels of each image record. */
  readonly imageLabels: Readonly<Record<string, string>>;
}

/** The kernel stacks 500 lower layers; containerd passes them with short names (plugins/snapshots/overlay). */
const LIMIT = { engine: "containerd's overlayfs", layers: 500 };

/** A layer as a committed snapshot: a folder with a number for a name. */
export interface Snapshot {
  readonly id: number;
  readonly chained: ChainedLayer;
  readonly parent?: Snapshot;
  /** Its name in the snapshotter's own database (core/metadata/snapshot.go `createKey`). */
  readonly key: string;
}

/** A document or a layer in the content store, and its labels. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly labels: Readonly<Record<string, string>>;
  readonly content: Uint8Array | ContainerImage['layers'][number];
}

export interface ImageRecord {
  readonly name: string;
  readonly target: Descriptor;
}

/** What a containerd's root holds, before it is written. */
export interface ContainerdLayout {
  readonly namespace: ContainerdNamespace;
  readonly snapshots: readonly Snapshot[];
  readonly blobs: readonly Blob[];
  readonly records: readonly ImageRecord[];
}

/** `keepLayerBlobs`: compressed layers are in the content store, too. */
export function layOut(
  images: readonly ContainerImage[],
  namespace: ContainerdNamespace,
  keepLayerBlobs: boolean,
): ContainerdLayout {
  const chains = images.map((image) => chainLayers(image, LIMIT));
  const snapshots: Snapshot[] = [];
  const byChainId = new Map<Digest, Snapshot>();
  for (const chained of uniqueLayers(chains)) {
    const id = snapshots.length + 1;
    const parent = chained.parent && byChainId.get(chained.parent.chainId);
    const key = `${namespace.name}/${id}/${chained.chainId}`;
    const snapshot: Snapshot = { id, chained, key, ...(parent ? { parent } : {}) };
    snapshots.push(snapshot);
    byChainId.set(chained.chainId, snapshot);
  }
  const blobs = new Map<Digest, Blob>();
  const sources = sourcesByBlob(images);
  const add = (descriptor: Descriptor, content: Blob['content'], labels: Record<string, string>) => {
    const all = { ...blobs.get(descriptor.digest)?.labels, ...sources.get(descriptor.digest), ...labels };
    blobs.set(descriptor.digest, { descriptor, content, labels: all });
  };
  const records = new Map<string, ImageRecord>();
  images.forEach((image, at) => {
    const top = chains[at]!.at(-1);
    add(image.config, image.configBytes, top ? { 'containerd.io/gc.ref.snapshot.overlayfs': top.chainId } : {});
    if (keepLayerBlobs) {
      image.layers.forEach((layer) => add(layer.blob, layer, { 'containerd.io/uncompressed': layer.diffId }));
    }
    add(image.manifest, image.manifestBytes, manifestLabels(image, keepLayerBlobs));
    const target = targetOf(image);
    // only the platform of this machine is there
    if (target !== image.manifest) {
      add(target, image.indexBytes!, { 'containerd.io/gc.ref.content.m.0': image.manifest.digest });
    }
    for (const name of [image.reference, ...namespace.aliases(image)]) records.set(name, { name, target });
  });
  return { namespace, snapshots, blobs: [...blobs.values()], records: [...records.values()] };
}

/**
 * What an image record points at: the index that the reference named, so that the image has the digest that a registry
 * gives it, else the manifest.
 */
export function targetOf({ manifest, index, indexBytes }: ContainerImage): Descriptor {
  if (!index || !indexBytes) return manifest;
  const { mediaType, manifests } = JSON.parse(Buffer.from(indexBytes).toString()) as IndexDocument;
  // through a nested index there is no way: what lies between is not at hand
  if (!manifests?.some(({ digest }) => digest === manifest.digest)) return manifest;
  return { mediaType: mediaType ?? OCI_INDEX, digest: index, size: indexBytes.length };
}

interface IndexDocument {
  readonly mediaType?: string;
  readonly manifests?: readonly { readonly digest: string }[];
}
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/**
 * core/images/image.go `ChildGCLabels`: without these references, garbage collection takes configuration and layers. Of layers
 * that are not there it has none, as `ChildGCLabelsFilterLayers`.
 */
function manifestLabels({ config, layers }: ContainerImage, withLayers: boolean): Record<string, string> {
  return {
    'containerd.io/gc.ref.content.config': config.digest,
    ...(withLayers
      ? Object.fromEntries(layers.map(({ blob }, at) => [`containerd.io/gc.ref.content.l.${at}`, blob.digest]))
      : {}),
  };
}

/** core/remotes/docker/handler.go: which repositories of a registry have a blob, so that a push can mount it there. */
function sourcesByBlob(images: readonly ContainerImage[]): ReadonlyMap<Digest, Readonly<Record<string, string>>> {
  const found = new Map<Digest, Map<string, Set<string>>>();
  for (const image of images) {
    if (image.manifestSynthesized) continue;
    const [registry = '', ...path] = image.reference.replace(/@.*$/, '').replace(/:[^/:]*$/, '').split('/'); // prettier-ignore
    const digests = [image.manifest, image.config, ...image.layers.map(({ blob }) => blob)].map(({ digest }) => digest);
    for (const digest of [...digests, ...(image.index ? [image.index] : [])]) {
      const registries = found.get(digest) ?? new Map<string, Set<string>>();
      found.set(digest, registries);
      registries.set(registry, (registries.get(registry) ?? new Set()).add(path.join('/')));
    }
  }
  const label = ([registry, repositories]: [string, Set<string>]) =>
    [`containerd.io/distribution.source.${registry}`, [...repositories].sort().join(',')] as const;
  return new Map([...found].map(([digest, registries]) => [digest, Object.fromEntries([...registries].map(label))]));
}

/** Path of a blob in the content store. */
export const blobPath = ({ digest }: Descriptor): string => `blobs/sha256/${digestHex(digest)}`;
