import { appendPartitions, findDataEnd, linuxFilesystemType, serializePartitionTable } from '@boxship/disk';
import { ext4EditPatches } from '@boxship/filesystem';
import { MiB, UserError, type Partition } from '@boxship/model';
import { changesOf, type ArtifactRelease, type PlannedArtifact, type PlannedPartition } from './artifact-format.ts';
import type { BaseDevice } from './base-image-format.ts';
import type { Rootfs } from './find-rootfs.ts';
import { OWN_PARTITION_NAMES } from './own-partitions.ts';
import { placed, planPayload, storeParts, type PayloadPart } from './payload.ts';
import { plannedRawImage, type WantedForm } from './planned-raw-image.ts';
import type { RawImagePlan } from './raw-artifact.ts';

/** Alignment of our partitions: the erase block of common eMMC and SD cards. */
const PARTITION_ALIGNMENT = 4 * MiB;

/** Bytes of our partitions, and what comes into them, when it is known where they lie. */
export interface OwnContent {
  readonly storeBytes: number;
  readonly dataBytes: number;
  place(store: Partition, data: Partition): Pick<RawImagePlan, 'filesystems' | 'transplants'>;
  /** What of both does not depend on the signing key, when that is known. */
  payload?(store: Partition, data: Partition): readonly PayloadPart[] | undefined;
}

/** The vendor's disk with our partitions behind its own, in every form that is wanted. */
export async function planOnBase(
  release: Pick<ArtifactRelease, 'variant' | 'base' | 'rootfs' | 'identity' | 'socket'>,
  { storeBytes, dataBytes, place, payload }: OwnContent,
  wanted: readonly WantedForm[],
): Promise<PlannedArtifact> {
  const { variant, identity } = release;
  const { device, rootfs } = onDisk(release, wanted);
  const type = linuxFilesystemType(device.table);
  const appended = appendPartitions(
    device.table,
    device.content.size,
    [
      { name: OWN_PARTITION_NAMES.store, type, partitionUuid: identity('store-partition'), size: storeBytes },
      { name: OWN_PARTITION_NAMES.data, type, partitionUuid: identity('data-partition'), size: dataBytes },
    ],
    { alignment: PARTITION_ALIGNMENT, after: await findDataEnd(device.content, device.table) },
  );
  const [storePartition, dataPartition] = appended.added as readonly [Partition, Partition];
  const { epoch } = variant;
  const socket = release.socket(device.table.type);
  const edited = socket.entries.length > 0;
  const edits = edited ? await release.rootfs.planEdit(socket.entries, { epoch }) : [];

  const whole = { start: 0, end: Math.min(device.content.size, appended.deviceSize) };
  const rootfsRange = { start: rootfs.partition.start, end: rootfs.partition.start + rootfs.partition.size };
  const image: RawImagePlan = {
    base: device,
    deviceSize: appended.deviceSize,
    patches: await serializePartitionTable(appended.table, appended.deviceSize, device.content),
    stale: appended.stale,
    ...place(storePartition, dataPartition),
    baseMapped: device.bmap ? [...device.bmap.ranges, ...(edited ? [rootfsRange] : [])] : [whole],
  };
  const changes = changesOf(edits, socket);
  const parts = payload?.(storePartition, dataPartition);
  const places = { rootfs: rootfs.partition, store: storePartition };
  const toWrite = { variant, image, vendor: device, places, payload: parts && planPayload(variant, changes, parts) };
  // ours have numbers that were free, so that a number tells the role before and after
  const numbers = { store: storePartition.number, data: dataPartition.number, rootfs: rootfs.partition.number };
  const planned = (partition: Partition) => plannedPartition(partition, numbers);
  return {
    ...(await plannedRawImage(toWrite, wanted, (scratch) =>
      ext4EditPatches(device.path, rootfs.partition.start, edits, { epoch, scratch }),
    )),
    table: {
      type: device.table.type,
      before: { size: device.content.size, partitions: device.table.partitions.map(planned) },
      after: { size: appended.deviceSize, partitions: appended.table.partitions.map(planned) },
    },
    changes,
    warnings: [],
  };
}

/** The partition with the role that its number tells. */
export function plannedPartition(
  { attributes: _attributes, ...partition }: Partition,
  numbers: Readonly<Record<Exclude<PlannedPartition['role'], 'vendor'>, number>>,
): PlannedPartition {
  const found = Object.entries(numbers).find(([, number]) => number === partition.number);
  return { ...partition, role: (found?.[0] ?? 'vendor') as PlannedPartition['role'] };
}

/** The disk whose bytes the vendor gives. Errors: BASE_IS_NO_DISK. */
export function onDisk(
  { base, rootfs }: Pick<ArtifactRelease, 'base' | 'rootfs'>,
  [wanted]: readonly WantedForm[],
): { readonly device: BaseDevice; readonly rootfs: Rootfs } {
  const [device] = base.devices;
  if (device && rootfs.onDisk) return { device, rootfs: rootfs.onDisk };
  throw new UserError(
    'BASE_IS_NO_DISK',
    `the base image holds parts for an installer, not the image of a disk: the artifact "${wanted!.form.name}" cannot be made of it`,
    'Give the vendor\'s image of the whole disk (.wic, .img), or ask for "artifacts: [tezi]".',
  );
}

/** A first artifact: store and data as they were planned. Errors: TEZI_NO_DISK for parts that no disk can hold. */
export async function planDiskImage(release: ArtifactRelease, wanted: readonly WantedForm[]): Promise<PlannedArtifact> {
  const { store, data } = release;
  const own: OwnContent = {
    storeBytes: store.sizeBytes,
    dataBytes: data.sizeBytes,
    place: (storePartition, dataPartition) => ({
      filesystems: [
        { start: storePartition.start, plan: store },
        { start: dataPartition.start, plan: data },
      ],
    }),
    payload: (storePartition, dataPartition) => [
      ...storeParts(release, storePartition.start),
      { name: 'data', ranges: placed(data.mapped, dataPartition.start) },
    ],
  };
  const { base, rootfs } = release;
  const disk = await base.asDisk?.(rootfs);
  if (!disk) return await planOnBase(release, own, wanted);
  const planned = await planOnBase({ ...release, base: disk.image, rootfs: disk.rootfs }, own, wanted);
  return { ...planned, warnings: [...disk.warnings, ...planned.warnings] };
}
