import { appendPartitions, findDataEnd, linuxFilesystemType, serializePartitionTable } from '@boxship/disk';
import { socketWarnings, type SocketFiles } from '@boxship/device-socket';
import { engines } from '@boxship/engines';
import { rawFileNames, type BaseDevice, type RawImagePlan, type Rootfs } from '@boxship/formats';
import { MiB, UserError, formatProblem, pick, type ContainerImage, type Partition, type Variant } from '@boxship/model';
import { releaseFolder } from '@boxship/catalog';
import { budgetOf } from './budget.ts';
import { fitSocket } from './fit-socket.ts';
import type { LockedImages } from './locked-image.ts';
import { openBase, type OpenBase } from './open-base.ts';
import type { OpenProduct } from './open-product.ts';
import { refuseStoreInBase } from './refuse-store.ts';
import { planStorePartitions } from './store-partitions.ts';
import type { PlannedPartition, VariantPlan } from './variant-plan.ts';

/** Alignment of our partitions: the erase block of common eMMC and SD cards. */
const PARTITION_ALIGNMENT = 4 * MiB;

/** A variant planned to the byte, with what it takes to write it. */
export interface PreparedVariant extends AsyncDisposable {
  readonly variant: Variant;
  readonly plan: VariantPlan;
  readonly image: RawImagePlan;
  /** What the rootfs gets; nothing when it has the device socket already. */
  readonly socket: Pick<SocketFiles, 'entries' | 'listing'>;
  readonly rootfs: Partition;
}

/** Reads the base and every inventory, lays out the disk, and checks that all of it fits. Writes nothing. */
export async function prepareVariant(
  open: OpenProduct,
  variant: Variant,
  locked: LockedImages,
): Promise<PreparedVariant> {
  const machine = open.product.machines.find(({ name }) => name === variant.machine.name)!;
  const base = await openBase(open, machine, variant);
  try {
    const prepared = await layOut(open, variant, locked, base);
    return { ...prepared, [Symbol.asyncDispose]: () => base.image.close() };
  } catch (error) {
    await base.image.close();
    throw error;
  }
}

async function layOut(open: OpenProduct, variant: Variant, locked: LockedImages, base: OpenBase) {
  const { facts } = base;
  const { device, rootfs } = onDisk(base);
  const engine = pick('engine', engines, variant.engine.name);
  const warnings = [
    ...base.image.warnings.map(formatProblem),
    ...[...engine.warnings(facts), ...socketWarnings(facts)].map(formatProblem),
  ];
  engine.check(facts);
  await refuseStoreInBase(device);
  const { images, identity, store, data } = await planStorePartitions(open, variant, locked, facts);
  const type = linuxFilesystemType(device.table);
  const appended = appendPartitions(
    device.table,
    device.content.size,
    [
      { name: 'boxship-store', type, partitionUuid: identity('store-partition'), size: store.sizeBytes },
      { name: 'boxship-data', type, partitionUuid: identity('data-partition'), size: data.sizeBytes },
    ],
    { alignment: PARTITION_ALIGNMENT, after: await findDataEnd(device.content, device.table) },
  );
  const [storePartition, dataPartition] = appended.added as readonly [Partition, Partition];
  const { epoch } = variant;
  const socket = fitSocket(facts, {
    engines: [engine.socket],
    unitDirectory: facts.unitDirectory,
    product: variant.product,
    machine: variant.machine.name,
    storeUuid: identity('store'),
    dataUuid: identity('data'),
    tableType: device.table.type,
    publicKeyPem: open.publicKeyPem,
    development: variant.signing.development,
    epoch,
  });
  const edits = socket.entries.length > 0 ? await base.rootfs.planEdit(socket.entries, { epoch }) : [];
  const reasons = new Map(socket.listing.map(({ path, why }) => [path, why]));

  const whole = { start: 0, end: Math.min(device.content.size, appended.deviceSize) };
  const rootfsRange = { start: rootfs.partition.start, end: rootfs.partition.start + rootfs.partition.size };
  const image: RawImagePlan = {
    base: device,
    deviceSize: appended.deviceSize,
    patches: await serializePartitionTable(appended.table, appended.deviceSize, device.content),
    stale: appended.stale,
    filesystems: [
      { start: storePartition.start, plan: store },
      { start: dataPartition.start, plan: data },
    ],
    baseMapped: device.bmap ? [...device.bmap.ranges, ...(socket.entries.length > 0 ? [rootfsRange] : [])] : [whole],
  };
  const role = (number: number): PlannedPartition['role'] => {
    if (number === storePartition.number) return 'store';
    if (number === dataPartition.number) return 'data';
    return number === rootfs.partition.number ? 'rootfs' : 'vendor';
  };
  // ours have numbers that were free, so that a number tells the role before and after
  const planned = ({ attributes: _attributes, ...partition }: Partition): PlannedPartition => ({
    ...partition,
    role: role(partition.number),
  });
  const deviceNodes = countDeviceNodes(images);
  if (deviceNodes > 0) warnings.push(`the image layers hold ${deviceNodes} device nodes; they are kept`);
  const plan: VariantPlan = {
    variant,
    folder: releaseFolder(variant),
    files: [...new Set(variant.artifacts.flatMap((artifact) => rawFileNames(variant, artifact)))],
    table: {
      type: device.table.type,
      before: { size: device.content.size, partitions: device.table.partitions.map(planned) },
      after: { size: appended.deviceSize, partitions: appended.table.partitions.map(planned) },
    },
    rootfs: {
      partition: rootfs.partition.number,
      // what really changes: a folder that is there is none, one that is made on the way is
      changes: edits.flatMap(({ path, asked, action }) =>
        action === 'keep' ? [] : [{ path: `/${path}`, action, why: reasons.get(asked) ?? 'a folder on the way' }],
      ),
    },
    budget: budgetOf(variant, images, store),
    warnings,
  };
  return { variant, plan, image, socket, rootfs: rootfs.partition };
}

/** The disk whose bytes the vendor gives. Errors: BASE_IS_NO_DISK. */
function onDisk({ image, rootfs }: OpenBase): { readonly device: BaseDevice; readonly rootfs: Rootfs } {
  const [device] = image.devices;
  if (device && rootfs.onDisk) return { device, rootfs: rootfs.onDisk };
  throw new UserError(
    'BASE_IS_NO_DISK',
    'the base image holds parts for an installer, not the image of a disk: a raw image cannot be made of it',
    "Give the vendor's image of the whole disk (.wic, .img).",
  );
}

function countDeviceNodes(images: readonly ContainerImage[]): number {
  const inventories = new Map(images.flatMap(({ layers }) => layers).map((layer) => [layer.diffId, layer.inventory]));
  let count = 0;
  for (const inventory of inventories.values()) count += inventory.deviceCount;
  return count;
}
