import {
  appendPartitions,
  BOXSHIP_NAMESPACE,
  findDataEnd,
  linuxFilesystemType,
  serializePartitionTable,
  uuidFrom,
} from '@boxship/disk';
import { socketWarnings, type EngineSocket, type SocketFiles } from '@boxship/device-socket';
import { engines, type Preload } from '@boxship/engines';
import { planExt4, planExt4Edit, type Ext4Plan } from '@boxship/filesystem';
import { rawFileNames, type RawImagePlan } from '@boxship/formats';
import {
  MiB,
  UserError,
  alignUp,
  formatProblem,
  pick,
  type ContainerImage,
  type Partition,
  type Tree,
  type TreeEntry,
  type Variant,
} from '@boxship/model';
import { directory } from '@boxship/engines';
import { releaseFolder } from '@boxship/catalog';
import { budgetOf, storeFull } from './budget.ts';
import { fitSocket } from './fit-socket.ts';
import type { LockedImages } from './locked-image.ts';
import { openBase, type OpenBase } from './open-base.ts';
import type { OpenProduct } from './open-product.ts';
import { storeTree } from './store-tree.ts';
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
  const { device, rootfs, facts } = base;
  const engine = pick('engine', engines, variant.engine.name);
  const warnings = [
    ...base.image.warnings.map(formatProblem),
    ...[...engine.warnings(facts), ...socketWarnings(facts)].map(formatProblem),
  ];
  engine.check(facts);
  const images: ContainerImage[] = [];
  for (const image of variant.images) images.push(await locked.open(image));
  const apps = variant.apps.map(({ name }) => {
    const { app, product } = open.apps.get(name)!;
    return { app, console: product.console };
  });
  const sign = async (digest: Uint8Array) => await (await open.signer()).sign(digest);
  const identity = (role: string) => uuidFrom(BOXSHIP_NAMESPACE, `${variant.product}/${variant.machine.name}/${role}`);

  const preload = engine.preload(images, { epoch: variant.epoch });
  const tree = await storeTree(variant, engine, preload, images, apps, facts, sign);
  const store = planStore(variant, images, preload, tree, identity);
  const data = planData(variant, engine.socket, identity);
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
  const edits = socket.entries.length > 0 ? await planExt4Edit(rootfs.content, socket.entries, { epoch }) : [];
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

function planStore(
  variant: Variant,
  images: readonly ContainerImage[],
  preload: Preload,
  tree: Tree,
  identity: (role: string) => string,
): Ext4Plan {
  const { size, reserve } = variant.store;
  const planOf = (wanted: Parameters<typeof planExt4>[1]['size']) =>
    planExt4(watched, {
      uuid: identity('store'),
      hashSeed: identity('store-hash-seed'),
      label: 'boxship-store',
      epoch: variant.epoch,
      size: wanted,
    });
  let last: TreeEntry | undefined;
  const watched: Tree = {
    *entries() {
      for (const entry of tree.entries()) yield (last = entry);
    },
  };
  try {
    return planOf(
      size === 'auto'
        ? { auto: true, reserveFraction: reserve }
        : { exact: alignUp(size, MiB), reserveFraction: reserve },
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (error.code !== 'STORE_FULL') throw inLayer(error, last, images, preload);
    if (size === 'auto') throw storeFull(error, variant, images);
    const enough = planOf({ auto: true, reserveFraction: reserve, minimum: alignUp(size, MiB) + 1, step: MiB });
    throw storeFull(error, variant, images, enough.sizeBytes);
  }
}

/** An entry that cannot be kept is told with the image and the layer that it came from, by its path in there. */
function inLayer(
  error: UserError,
  entry: TreeEntry | undefined,
  images: readonly ContainerImage[],
  preload: Preload,
): UserError {
  const found = entry && preload.layerAt(entry.path);
  if (!found) return error;
  const holder = images.find(({ layers }) => layers.some(({ diffId }) => diffId === found.layer.diffId));
  const prefix = entry.path.slice(0, entry.path.length - found.path.length - 1);
  return new UserError(
    error.problems.map((problem) => ({
      ...problem,
      message: `${holder?.reference ?? 'an image'}, layer ${found.layer.blob.digest}: ${problem.message.replaceAll(`/${prefix}`, '')}`,
      hint: problem.hint ?? 'The image cannot be unpacked as it is: build it again, without this entry.',
    })),
  );
}

/** The data partition as shipped: empty but for the folders that the engine's mounts begin at; it grows to the end of any disk. */
function planData(variant: Variant, { mounts }: EngineSocket, identity: (role: string) => string): Ext4Plan {
  const { epoch } = variant;
  const folders = new Map([['', 0o755]]);
  for (const { folder, mode } of mounts.filter(({ from }) => from === 'data')) {
    const parts = folder.split('/');
    parts.forEach((_part, index) => {
      const path = parts.slice(0, index + 1).join('/');
      if (path === folder) folders.set(path, mode);
      else if (!folders.has(path)) folders.set(path, 0o755);
    });
  }
  const sorted = [...folders].sort(([a], [b]) => (a < b ? -1 : 1));
  const tree: Tree = { entries: () => sorted.map(([path, mode]) => directory(path, mode, epoch)) };
  return planExt4(tree, {
    uuid: identity('data'),
    hashSeed: identity('data-hash-seed'),
    label: 'boxship-data',
    epoch,
    size: { exact: alignUp(variant.dataSize, MiB) },
    growthFactor: 1024,
    freeInodes: 8192, // each group has as many; a grown file system keeps that share
  });
}

function countDeviceNodes(images: readonly ContainerImage[]): number {
  const inventories = new Map(images.flatMap(({ layers }) => layers).map((layer) => [layer.diffId, layer.inventory]));
  let count = 0;
  for (const inventory of inventories.values()) count += inventory.deviceCount;
  return count;
}
