import { readerSlice, UserError, type ByteRange, type Partition } from '@boxship/model';
import type { ArtifactExchange, WantedArtifact } from './artifact-exchange.ts';
import type { BaseDevice, BaseImage } from './base-image-format.ts';
import { findOwnPartitions, OWN_PARTITION_NAMES, type OwnRole } from './own-partitions.ts';
import { exchangedPayload, isStorePart, placed, storeParts } from './payload.ts';
import { plannedRawImage, type WantedForm } from './planned-raw-image.ts';
import { withoutRange, type RawImagePlan, type Transplant } from './raw-artifact.ts';
import { onDisk, planOnBase, plannedPartition } from './raw-plan.ts';

/** Exchanges a half of a disk image of ours: in place of the store's bytes, or of all but those of store and data. */
export const rawExchange: ArtifactExchange = {
  async findOwn(artifact) {
    const { device, store } = await ownOf(artifact);
    return { store: readerSlice(device.content, store.start, store.size), foundAs: device.table.type };
  },
  async planUpdate({ variant, from, file, rootfs, store: filesystem, signature }, wanted) {
    const { device, store, data } = await ownOf(from);
    if (filesystem.sizeBytes !== store.size) throw new Error('the store is not as large as its partition');
    const storeRange = rangeOf(store);
    const image: RawImagePlan = {
      base: device,
      deviceSize: device.content.size,
      patches: [],
      stale: [storeRange], // nothing of the old store shows through the holes of the new one
      filesystems: [{ start: store.start, plan: filesystem }],
      baseMapped: withoutRange(device.bmap?.ranges ?? [{ start: 0, end: device.content.size }], storeRange),
    };
    const { partition: system } = onDisk({ base: from, rootfs }, formsOf(wanted)).rootfs;
    const numbers = { store: store.number, data: data.number, rootfs: system.number };
    const places = { rootfs: system, store };
    const fresh = storeParts({ store: filesystem, signature }, store.start);
    const payload = exchangedPayload(variant, undefined, file.payload, fresh);
    const layout = {
      size: device.content.size,
      partitions: device.table.partitions.map((partition) => plannedPartition(partition, numbers)),
    };
    return {
      ...(await plannedRawImage({ variant, image, vendor: device, places, payload }, formsOf(wanted), async () => [])),
      table: { type: device.table.type, before: layout, after: layout },
      changes: [],
      warnings: [],
    };
  },
  async planRebase({ from, file, ...release }, wanted) {
    const { device, store, data } = await ownOf(from);
    const own = {
      storeBytes: store.size,
      dataBytes: data.size,
      place: (storePlace: Partition, dataPlace: Partition) => ({
        filesystems: [],
        transplants: [transplant(device, store, storePlace), transplant(device, data, dataPlace)],
      }),
      payload: (storePlace: Partition, dataPlace: Partition) =>
        file.payload?.parts.map(({ name, ranges }) => ({
          name,
          ranges: placed(ranges, isStorePart(name) ? storePlace.start - store.start : dataPlace.start - data.start),
        })),
    };
    return await planOnBase(release, own, formsOf(wanted));
  },
};

function formsOf(wanted: readonly WantedArtifact[]): readonly WantedForm[] {
  return wanted.flatMap(({ format, options }) => ('plan' in format ? [] : [{ form: format, options }]));
}

/** The one store and the one data partition of an artifact. Errors: NO_STORE, OWN_PARTITION_AMBIGUOUS. */
async function ownOf({ devices: [device] }: Pick<BaseImage, 'devices'>) {
  if (!device) throw new Error('an image of a disk has a device');
  const found = await findOwnPartitions(device);
  const only = (role: OwnRole): Partition => {
    const [first, second] = found.filter((one) => one.role === role);
    if (first && !second) return first.partition;
    const name = OWN_PARTITION_NAMES[role];
    throw first
      ? new UserError('OWN_PARTITION_AMBIGUOUS', `several partitions of the image are "${name}"`, 'Which one the device takes cannot be told: compose the image anew.') // prettier-ignore
      : new UserError('NO_STORE', `no partition of the image is "${name}"`, 'Give an artifact that boxship compose made.'); // prettier-ignore
  };
  return { device, store: only('store'), data: only('data') };
}

/** The partition as it is, for another place. What its block map leaves out may stay unwritten there, too. */
function transplant({ content, bmap }: BaseDevice, partition: Partition, { start }: Partition): Transplant {
  const range = rangeOf(partition);
  const mapped = (bmap?.ranges ?? [range])
    .map((one) => ({ start: Math.max(one.start, range.start), end: Math.min(one.end, range.end) }))
    .filter((one) => one.end > one.start)
    .map((one) => ({ start: one.start - range.start, end: one.end - range.start }));
  return { start, content: readerSlice(content, partition.start, partition.size), mapped };
}

function rangeOf({ start, size }: Partition): ByteRange {
  return { start, end: start + size };
}
