import { socketWarnings } from '@boxship/device-socket';
import { engines, type EngineDevice } from '@boxship/engines';
import { artifactFormat, planArtifacts, type ArtifactRelease, type PlannedArtifact } from '@boxship/formats';
import type { InventoryPart } from '@boxship/sbom';
import { formatProblem, pick, type ContainerImage, type Variant } from '@boxship/model';
import { productPath, releaseFolder } from '@boxship/catalog';
import { budgetOf } from './budget.ts';
import { deviceFiles } from './fit-socket.ts';
import { partsOf } from './inventory-parts.ts';
import type { LockedImages } from './locked-image.ts';
import { openBase, type OpenBase } from './open-base.ts';
import type { OpenProduct } from './open-product.ts';
import { prepareTorizon } from './prepare-torizon.ts';
import { refuseSmallStorage } from './refuse-small-storage.ts';
import { refuseStoreInBase } from './refuse-store.ts';
import { documentNames } from './release-documents.ts';
import { planStorePartitions } from './store-partitions.ts';
import type { ReleasePlan, VariantPlan } from './variant-plan.ts';

/** A release planned to the byte, with what it takes to write it. */
export interface PreparedRelease {
  readonly variant: Variant;
  readonly plan: ReleasePlan;
  /** One for each format that is asked for; all forms of one disk image are one. */
  readonly artifacts: readonly PlannedArtifact[];
  /** Reads what is in its inputs, for documents about it; absent where nothing but the list of inputs is at hand. */
  readParts?(): Promise<readonly InventoryPart[]>;
}

/** The same of a variant that is composed. */
export interface PreparedVariant extends PreparedRelease, AsyncDisposable {
  readonly plan: VariantPlan;
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
    // a system that must not be edited has a way of its own, where its vendor has one
    const own = base.facts.ostree && base.image.tezi !== undefined;
    const prepared = await (own ? prepareTorizon : layOut)(open, variant, locked, base);
    return { ...prepared, [Symbol.asyncDispose]: () => base.image.close() };
  } catch (error) {
    await base.image.close();
    throw error;
  }
}

async function layOut(open: OpenProduct, variant: Variant, locked: LockedImages, base: OpenBase) {
  const { facts, rootfs } = base;
  const engine = pick('engine', engines, variant.engine.name);
  const device: EngineDevice = { facts, engine: variant.engine };
  const warnings = [
    ...base.image.warnings.map(formatProblem),
    ...[...engine.warnings(device), ...socketWarnings(facts)].map(formatProblem),
  ];
  engine.check(device);
  const { publicKeyPem, certificate } = open;
  const key = { publicKeyPem, ...(certificate === undefined ? {} : { certificatePem: certificate }) };
  for (const { format } of variant.artifacts) artifactFormat(format).checkKey?.(key);
  for (const device of base.image.devices) await refuseStoreInBase(device);
  const { images, identity, store, signature, data, dataTree, storeTree } = await planStorePartitions(
    open,
    variant,
    locked,
    facts,
  );
  const release: ArtifactRelease = {
    variant,
    base: base.image,
    rootfs,
    store,
    signature,
    data,
    dataTree,
    storeTree,
    identity,
    productFile: (path) => productPath(open.product, path),
    socket: (tableType) => deviceFiles(open, variant, device, identity, tableType),
  };
  const artifacts = await planArtifacts(release);
  refuseSmallStorage(
    open.product.machines.find(({ name }) => name === variant.machine.name)!,
    artifacts,
  );
  // the disk that is made, rather than parts for one that others make
  const shown = artifacts.find(({ isNominal }) => !isNominal) ?? artifacts[0]!;
  const deviceNodes = countDeviceNodes(images);
  if (deviceNodes > 0) warnings.push(`the image layers hold ${deviceNodes} device nodes; they are kept`);
  warnings.push(...artifacts.flatMap((artifact) => artifact.warnings));
  const plan: VariantPlan = {
    variant,
    folder: releaseFolder(variant),
    files: [...artifacts.flatMap(({ files }) => files), ...documentNames(variant)],
    table: shown.table,
    rootfs: { partition: rootfs.partition, changes: shown.changes },
    budget: budgetOf(variant, images, new Map([...open.apps].map(([name, { app }]) => [name, app])), store),
    warnings,
  };
  return { variant, plan, artifacts, readParts: () => partsOf(variant, images, rootfs.files, open.cache) };
}

function countDeviceNodes(images: readonly ContainerImage[]): number {
  const inventories = new Map(images.flatMap(({ layers }) => layers).map((layer) => [layer.diffId, layer.inventory]));
  let count = 0;
  for (const inventory of inventories.values()) count += inventory.deviceCount;
  return count;
}
