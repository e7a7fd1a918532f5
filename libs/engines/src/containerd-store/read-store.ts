import { readBolt, type BoltBucket } from '@boxship/bbolt';
import type { RootfsReader } from '@boxship/filesystem';
import type { BytePath, Digest, RandomReader } from '@boxship/model';
import { blobAt, digestIn, isRecord, readConfiguration, readDocument, sortImages, type ListedImage, type StoreReader } from '../store-reader.ts'; // prettier-ignore

/**
 * containerd's root, which docker (with the containerd image store), nerdctl, the Kubernetes runtime interface and k3s share:
 * image records in `meta.db` (core/metadata/buckets.go, "Schema"), their documents in the content store.
 */
export const containerdStoreReader: StoreReader = {
  name: 'containerd',
  places: ['/var/lib/containerd', '/var/lib/rancher/k3s/agent/containerd'],
  async read(files, folder) {
    const path = `${folder}/io.containerd.metadata.v1.bolt/meta.db`;
    const stat = await files.stat(path);
    if (stat?.type !== 'file') return undefined;
    const file: RandomReader = { size: stat.size, read: (start, length) => files.readRange(path, start, length) };
    const content = `${folder}/io.containerd.content.v1.content`;
    const version = await (await readBolt(file, `/${path}`)).bucket('v1');
    const images: ListedImage[] = [];
    for await (const { key: namespace, value } of version?.entries() ?? []) {
      if (value instanceof Uint8Array) continue;
      const isUnpacked = await unpackedIn(value);
      for (const [target, names] of await targetsOf(value)) {
        const common = { namespace: namespace.toString(), names: names.sort(), manifest: target };
        const documents = await manifestsOf(files, content, target);
        const atHand = [];
        for (const one of documents) if (await isUnpacked(one.config) || (await hasLayers(files, content, one))) atHand.push(one); // prettier-ignore
        const shown = atHand.length > 0 ? atHand : documents.slice(0, 1);
        if (shown.length === 0) images.push(common); // its content is not here: a lazy or an interrupted pull
        for (const { config } of shown) {
          images.push({ ...common, id: config, ...(await readConfiguration(files, blobAt(content, config))) });
        }
      }
    }
    return sortImages(images);
  },
};

/** Names of the image records of a namespace, by the digest that they stand for. */
async function targetsOf(namespace: BoltBucket): Promise<ReadonlyMap<Digest, string[]>> {
  const found = new Map<Digest, string[]>();
  for await (const { key, value } of (await namespace.bucket('images'))?.entries() ?? []) {
    if (value instanceof Uint8Array) continue;
    const digest = digestIn(Buffer.from((await (await value.bucket('target'))?.get('digest')) ?? []).toString());
    if (digest) found.set(digest, [...(found.get(digest) ?? []), key.toString()]);
  }
  return found;
}

/** Whether an image was unpacked, by its configuration: then a label of it keeps the topmost snapshot (core/unpack). */
async function unpackedIn(namespace: BoltBucket): Promise<(config: Digest) => Promise<boolean>> {
  const blobs = await (await namespace.bucket('content'))?.bucket('blob');
  return async (config) => {
    for await (const { key } of (await (await blobs?.bucket(config))?.bucket('labels'))?.entries() ?? []) {
      if (key.toString().startsWith('containerd.io/gc.ref.snapshot.')) return true;
    }
    return false;
  };
}

interface FoundManifest {
  readonly config: Digest;
  readonly layers: readonly Digest[];
}

/** The manifests that a digest stands for whose bytes are at hand: of an index, one for each platform. */
async function manifestsOf(files: RootfsReader, content: BytePath, target: Digest): Promise<readonly FoundManifest[]> {
  const document = await readDocument(files, blobAt(content, target));
  if (!isRecord(document)) return [];
  if (!Array.isArray(document['manifests'])) return manifestIn(document);
  const found: FoundManifest[] = [];
  for (const entry of document['manifests'] as unknown[]) {
    const digest = isRecord(entry) ? digestIn(entry['digest']) : undefined;
    const manifest = digest && digest !== target ? await readDocument(files, blobAt(content, digest)) : undefined;
    if (isRecord(manifest)) found.push(...manifestIn(manifest));
  }
  return found;
}

function manifestIn(document: Readonly<Record<string, unknown>>): readonly FoundManifest[] {
  const digestOf = (descriptor: unknown) => (isRecord(descriptor) ? digestIn(descriptor['digest']) : undefined);
  const config = digestOf(document['config']);
  const layers = Array.isArray(document['layers']) ? document['layers'].map(digestOf) : [];
  return config ? [{ config, layers: layers.filter((digest) => digest !== undefined) }] : [];
}

async function hasLayers(files: RootfsReader, content: BytePath, { layers }: FoundManifest): Promise<boolean> {
  for (const layer of layers) if (!(await files.exists(blobAt(content, layer)))) return false;
  return true;
}
