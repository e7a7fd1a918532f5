import { treeOfParts, type BytePath, type ContainerImage, type TreeEntry, type TreePart } from '@boxship/model';
import type { Preload, PreloadOptions } from '../engine.ts';
import { directory, generatedFile, streamedFile } from '../entries.ts';
import { overlayDiff, surveyLayer } from '../overlay-diff.ts';
import { metadataDatabase, snapshotterDatabase } from './databases.ts';
import {
  blobPath,
  layOut,
  targetOf,
  type Blob,
  type ContainerdLayout,
  type ContainerdNamespace,
  type Snapshot,
} from './layout.ts';

const CONTENT = 'io.containerd.content.v1.content';
const METADATA = 'io.containerd.metadata.v1.bolt';
const SNAPSHOTTER = 'io.containerd.snapshotter.v1.overlayfs';

export interface ContainerdStoreOptions extends PreloadOptions {
  /** Folder of the store partition that the device mounts on containerd's root. */
  readonly root: BytePath;
  readonly namespace: ContainerdNamespace;
  /**
   * Whether the compressed layers stay beside the unpacked ones: exporting and pushing an image need them, and docker does.
   * Without them the store is what containerd has with `discard_unpacked_layers` (docs/cri/config.md). Default: true.
   */
  readonly keepLayerBlobs?: boolean;
}

/**
 * containerd's root as containerd 1.6 to 2.1 reads and writes it: the content store with every blob as it was served, its
 * index in `meta.db`, and a committed overlayfs snapshot for each layer, so that nothing is unpacked on the device. Ids
 * follow from the order of the images, times from `epoch`: equal images make equal stores.
 */
export function containerdStore(images: readonly ContainerImage[], options: ContainerdStoreOptions): Preload {
  const { root, namespace, epoch, keepLayerBlobs = true } = options;
  const layout = layOut(images, namespace, keepLayerBlobs);
  return {
    layers: treeOfParts(() => snapshotParts(layout, root, epoch)),
    state: { entries: () => stateEntries(layout, root, epoch) },
    verified: { entries: () => documentEntries(layout, root, epoch) },
    imageIds: new Map(images.map((image) => [image.reference, targetOf(image).digest])),
  };
}

function* snapshotParts({ snapshots }: ContainerdLayout, root: BytePath, epoch: number): Iterable<TreePart> {
  const folder = `${root}/${SNAPSHOTTER}/snapshots`;
  yield directory(folder, 0o700, epoch);
  for (const snapshot of snapshots) {
    const { id, chained } = snapshot;
    yield directory(`${folder}/${id}`, 0o700, epoch);
    yield directory(`${folder}/${id}/work`, 0o711, epoch);
    yield overlayDiff(chained.layer, `${folder}/${id}/fs`, rootAttributes(snapshot, epoch), epoch);
  }
}

/** containerd takes the root's attributes from the tar, where it has them (pkg/archive/tar.go). */
function rootAttributes({ chained }: Snapshot, epoch: number): TreeEntry {
  return surveyLayer(chained.layer).root ?? directory('', 0o755, epoch);
}

function* stateEntries(layout: ContainerdLayout, root: BytePath, epoch: number): Iterable<TreeEntry> {
  yield directory(root, 0o711, epoch);
  yield directory(`${root}/${CONTENT}`, 0o711, epoch);
  yield directory(`${root}/${CONTENT}/ingest`, 0o755, epoch);
  yield directory(`${root}/${CONTENT}/blobs`, 0o755, epoch);
  yield directory(`${root}/${CONTENT}/blobs/sha256`, 0o755, epoch);
  for (const blob of layout.blobs) yield blobEntry(blob, root, epoch);
  yield directory(`${root}/${METADATA}`, 0o711, epoch);
  yield generatedFile(`${root}/${METADATA}/meta.db`, metadataDatabase(layout, epoch), 0o644, epoch);
  yield directory(`${root}/${SNAPSHOTTER}`, 0o700, epoch);
  yield generatedFile(`${root}/${SNAPSHOTTER}/metadata.db`, snapshotterDatabase(layout, epoch), 0o600, epoch);
}

function blobEntry({ descriptor, content }: Blob, root: BytePath, epoch: number): TreeEntry {
  const path = `${root}/${CONTENT}/${blobPath(descriptor)}`;
  return content instanceof Uint8Array
    ? generatedFile(path, content, 0o444, epoch)
    : streamedFile(path, content.blobContent, 0o444, epoch);
}

/** Manifests and configurations; the databases are written by the engine from its start on. */
function* documentEntries({ blobs }: ContainerdLayout, root: BytePath, epoch: number): Iterable<TreeEntry> {
  for (const blob of blobs) if (blob.content instanceof Uint8Array) yield blobEntry(blob, root, epoch);
}
