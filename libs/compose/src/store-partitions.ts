import { partitionIdentities, type PartitionIdentity } from '@boxship/disk';
import type { EngineSocket } from '@boxship/device-socket';
import { grantDevices } from '@boxship/catalog';
import { directory, engines, layerOf, type EngineDevice } from '@boxship/engines';
import { planExt4, type BranchTables, type Ext4Plan } from '@boxship/filesystem';
import {
  MiB,
  UserError,
  alignUp,
  partsOf,
  pick,
  treeOfParts,
  type ByteRange,
  type ContainerImage,
  type DeviceFacts,
  type Tree,
  type TreePart,
  type Variant,
} from '@boxship/model';
import { storeFull } from './budget.ts';
import type { LockedImages } from './locked-image.ts';
import type { OpenProduct } from './open-product.ts';
import { SIGNATURE_BYTES, SIGNATURE_FILE } from './store-manifest.ts';
import { storeTree } from './store-tree.ts';

/** The two partitions of ours, planned to the byte: equal for the image of `compose` and for the files of `store`. */
export interface StorePartitions {
  readonly images: readonly ContainerImage[];
  /** UUID of something of this product and machine, the same in every version. */
  readonly identity: (role: PartitionIdentity) => string;
  readonly store: Ext4Plan;
  /** Place of the signature in `store`, bytes from its start: the only ones that depend on the key. */
  readonly signature: ByteRange;
  readonly data: Ext4Plan;
  /** What is in `data`. */
  readonly dataTree: Tree;
  /** What is in `store`. */
  readonly storeTree: Tree;
}

/**
 * Lays out both file systems of a variant for a device of which `facts` are known; `storeBytes`: the store gets exactly that
 * size, whatever the variant says. Errors: STORE_FULL and those of the engine.
 */
export async function planStorePartitions(
  open: OpenProduct,
  variant: Variant,
  locked: LockedImages,
  facts: DeviceFacts,
  { storeBytes }: { readonly storeBytes?: number } = {},
): Promise<StorePartitions> {
  const engine = pick('engine', engines, variant.engine.name);
  const images: ContainerImage[] = [];
  for (const image of variant.images) images.push(await locked.open(image));
  const apps = variant.apps.map(({ name }) => {
    const { app, product } = open.apps.get(name)!;
    return { app: grantDevices(app, variant), console: product.console };
  });
  const sign = async (digest: Uint8Array) => await (await open.signer()).sign(digest);
  const identity = partitionIdentities(variant.product, variant.machine.name);

  const device: EngineDevice = { facts, engine: variant.engine };
  const preload = engine.preload(images, device, { epoch: variant.epoch });
  const tree = await storeTree(variant, engine, preload, apps, facts, sign);
  const store = planStore(variant, images, tree, locked.laidOut, identity, storeBytes);
  const dataTree = dataFolders(variant, engine.socket(device));
  const data = planData(variant, dataTree, identity);
  return { images, identity, store, signature: placeOfSignature(tree, store), data, dataTree, storeTree: tree };
}

function planStore(
  variant: Variant,
  images: readonly ContainerImage[],
  tree: Tree,
  laidOut: BranchTables,
  identity: StorePartitions['identity'],
  storeBytes: number | undefined,
): Ext4Plan {
  const { size: wanted, reserve } = variant.store;
  const size = storeBytes ?? wanted;
  const planOf = (extent: Parameters<typeof planExt4>[1]['size']) =>
    planExt4(watched, {
      uuid: identity('store'),
      hashSeed: identity('store-hash-seed'),
      label: 'boxship-store',
      epoch: variant.epoch,
      size: extent,
      branches: laidOut,
    });
  let last: TreePart | undefined;
  const watched = treeOfParts(function* () {
    for (const part of partsOf(tree)) yield (last = part);
  });
  try {
    return planOf(
      size === 'auto'
        ? { auto: true, reserveFraction: reserve }
        : { exact: storeBytes ?? alignUp(size, MiB), reserveFraction: reserve },
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (error.code !== 'STORE_FULL') throw inLayer(error, last, images);
    if (size === 'auto') throw storeFull(error, variant, images);
    const enough = planOf({ auto: true, reserveFraction: reserve, minimum: alignUp(size, MiB) + 1, step: MiB });
    throw storeFull(error, variant, images, enough.sizeBytes);
  }
}

function placeOfSignature(tree: Tree, store: Ext4Plan): ByteRange {
  for (const { path, content } of tree.entries()) {
    if (path !== SIGNATURE_FILE || !content || !('source' in content)) continue;
    const [pieces] = store.contentPieces(content.source).batches();
    const [, , start] = pieces!; // a file of less than a block is one piece
    return { start: start!, end: start! + SIGNATURE_BYTES };
  }
  throw new Error('the store has no signature');
}

/** An entry that cannot be kept is told with the image and the layer that it came from. */
function inLayer(error: UserError, part: TreePart | undefined, images: readonly ContainerImage[]): UserError {
  const found = part && 'branch' in part ? layerOf(part) : undefined;
  if (!found) return error;
  const holder = images.find(({ layers }) => layers.some(({ diffId }) => diffId === found.diffId));
  return new UserError(
    error.problems.map((problem) => ({
      ...problem,
      message: `${holder?.reference ?? 'an image'}, layer ${found.blob.digest}: ${problem.message}`,
      hint: problem.hint ?? 'The image cannot be unpacked as it is: build it again, without this entry.',
    })),
  );
}

/** The data partition as shipped: empty but for the folders that the engine's mounts begin at. */
function dataFolders({ epoch }: Variant, { mounts }: EngineSocket): Tree {
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
  return { entries: () => sorted.map(([path, mode]) => directory(path, mode, epoch)) };
}

/** It grows to the end of any disk. */
function planData(variant: Variant, tree: Tree, identity: StorePartitions['identity']): Ext4Plan {
  const { epoch } = variant;
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
