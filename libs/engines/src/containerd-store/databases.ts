import { bucket, writeBolt, type Bucket } from '@boxship/bbolt';
import { goTime, goUvarint, goVarint } from './go-values.ts';
import type { ContainerdLayout, Snapshot } from './layout.ts';

/**
 * The version of the schema that we write (core/metadata/db.go `dbVersion`); containerd 1.6 knows 3, later ones 4, and none
 * refuses a later one.
 */
const DB_VERSION = 4;
/** core/snapshots `KindCommitted`. */
const COMMITTED = 3;
const EMPTY = new Uint8Array();

/** `meta.db`: images, content and snapshots of one namespace (core/metadata/buckets.go, "Schema"). */
export function metadataDatabase(
  { namespace, records, blobs, snapshots }: ContainerdLayout,
  epoch: number,
): Uint8Array {
  const times = timesOf(epoch);
  const images = records.map(({ name, target }) => {
    const { digest, mediaType, size } = target;
    const descriptor = bucket([['digest', digest], ['mediatype', mediaType], ['size', goVarint(size)]]); // prettier-ignore
    return [name, bucket([...times, ['target', descriptor], ...labels(namespace.imageLabels)])] as const;
  });
  const content = blobs.map(
    ({ descriptor, labels: own }) =>
      [descriptor.digest, bucket([...times, ['size', goVarint(descriptor.size)], ...labels(own)])] as const,
  );
  const stacked = snapshots.map((snapshot) => {
    const { chained, parent, key } = snapshot;
    const children = snapshots.filter((other) => other.parent === snapshot);
    return [
      chained.chainId,
      bucket([
        ...times,
        ['name', key],
        ...(parent ? [['parent', parent.chained.chainId] as const] : []),
        ...(children.length > 0
          ? [['children', bucket(children.map(({ chained: { chainId } }) => [chainId, EMPTY] as const))] as const]
          : []),
      ]),
    ] as const;
  });
  const ofNamespace = bucket([
    ['images', bucket(images)],
    ['content', bucket([['blob', bucket(content)]])],
    ['snapshots', bucket([['overlayfs', bucket(stacked, snapshots.length)]])],
  ]);
  return writeBolt(bucket([['v1', bucket([['version', goVarint(DB_VERSION)], [namespace.name, ofNamespace]])]])); // prettier-ignore
}

/** `metadata.db` of the overlayfs snapshotter (core/snapshots/storage/bolt.go). */
export function snapshotterDatabase({ snapshots }: ContainerdLayout, epoch: number): Uint8Array {
  const all = snapshots.map(({ id, key, parent, chained }) => {
    const { fileBytes, entryCount } = chained.layer.inventory;
    return [
      key,
      bucket([
        ...timesOf(epoch),
        ['id', goUvarint(id)],
        ['kind', Uint8Array.of(COMMITTED)],
        ...(parent ? [['parent', parent.key] as const] : []),
        ['inodes', goVarint(entryCount)],
        ['size', goVarint(fileBytes)],
      ]),
    ] as const;
  });
  const parents = snapshots.flatMap((snapshot) =>
    snapshot.parent ? [[parentKey(snapshot.parent, snapshot), snapshot.key] as const] : [],
  );
  const v1 = bucket([
    ['snapshots', bucket(all, snapshots.length)],
    ['parents', bucket(parents)],
  ]);
  return writeBolt(bucket([['v1', v1]]));
}

/** Both ids, a zero byte between them (bolt.go `parentKey`). */
function parentKey(parent: Snapshot, child: Snapshot): Uint8Array {
  return Buffer.concat([goUvarint(parent.id), Uint8Array.of(0), goUvarint(child.id)]);
}

function timesOf(epoch: number): readonly (readonly [string, Uint8Array])[] {
  return [
    ['createdat', goTime(epoch)],
    ['updatedat', goTime(epoch)],
  ];
}

function labels(own: Readonly<Record<string, string>>): readonly (readonly [string, Bucket])[] {
  const entries = Object.entries(own);
  return entries.length === 0 ? [] : [['labels', bucket(entries)]];
}
