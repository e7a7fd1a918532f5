import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { engines } from '@boxship/engines';
import { releaseFolder } from '@boxship/catalog';
import { makeFolder, partialPath, releaseMemory } from '@boxship/host';
import { pick, type DeviceFacts, type Digest, type Variant } from '@boxship/model';
import { builtDeviceFacts } from './built-device.ts';
import { lockedImages } from './locked-image.ts';
import { openBase } from './open-base.ts';
import type { OpenProduct, Selection } from './open-product.ts';
import { writePartitionFile, type PartitionCompression, type PartitionFile } from './partition-files.ts';
import { putInPlace, refuseFile, removeLeftovers } from './release-folder.ts';
import { writeSigned } from './release.ts';
import { planStorePartitions, type StorePartitions } from './store-partitions.ts';

export interface StoreOptions {
  /** Folder that the files go below: `<out>/<product>-<version>/<machine>-<engine>-<variant>/`. */
  readonly out: string;
  /** Of the store; the data partition is mostly a hole and stays as it is. */
  readonly compression: PartitionCompression;
  readonly signal?: AbortSignal;
}

/** One partition in `<bundle>.store.json`. */
export interface StoredPartition {
  /** Name in a GPT. */
  readonly name: string;
  /** Of the file system. */
  readonly uuid: string;
  readonly partitionUuid: string;
  /** Bytes and sha256 of the partition, uncompressed: what an image must have. */
  readonly size: number;
  readonly digest: Digest;
  readonly file: PartitionFile['file'];
}

/** `<bundle>.store.json`: what the files beside it are, from what. Signed. */
export interface StoreBundle {
  readonly kind: 'boxship-store-bundle';
  readonly bundleVersion: 1;
  /** `<product>-<version>-<machine>-<variant>`: BOXSHIP_BUNDLE of boxship_bundle.bbclass. */
  readonly bundle: string;
  readonly development: boolean;
  /** Where the facts about the device came from: its base image, or what the generated layer builds. */
  readonly device: 'base-image' | 'generated-layer';
  readonly partitions: { readonly store: StoredPartition; readonly data: StoredPartition };
  readonly variant: Variant;
}

export interface WrittenBundle {
  readonly variant: Variant;
  /** Absolute. */
  readonly folder: string;
  readonly bundle: StoreBundle;
}

/** Name of the files of a bundle, without what follows: `<product>-<version>-<machine>-<variant>`. */
export function bundleName({ product, version, machine, name }: Variant): string {
  return `${product}-${version}-${machine.name}-${name}`;
}

/**
 * Writes the store and the data partition of every selected variant as files, byte for byte those that `composeProduct` puts
 * into an image, for a build that makes the image itself. A folder appears whole or not at all. Without a base image the
 * device is what the generated layer would build. Errors: those of composing; nothing is written when one does not fit.
 */
export async function storeProduct(
  open: OpenProduct,
  selection: Selection,
  { out, compression, signal }: StoreOptions,
): Promise<readonly WrittenBundle[]> {
  const variants = open
    .variants(selection)
    .map((variant) => ({ variant, folder: resolve(out, releaseFolder(variant)) }));
  const locked = lockedImages(open.cache);
  for (const { variant, folder } of variants) {
    await refuseFile(folder);
    await planStorePartitions(open, variant, locked, (await factsOf(open, variant)).facts); // all fit, or none is written
    releaseMemory();
  }
  await open.signer(); // a wrong password is told before anything is written
  await removeLeftovers(out);
  const written: WrittenBundle[] = [];
  for (const { variant, folder } of variants) {
    signal?.throwIfAborted();
    const { facts, device } = await factsOf(open, variant);
    const planned = await planStorePartitions(open, variant, locked, facts);
    const staging = partialPath(folder);
    try {
      await makeFolder(staging);
      const bundle = await writeBundle(open, variant, planned, staging, device, compression, signal);
      await putInPlace(staging, folder);
      written.push({ variant, folder, bundle });
    } finally {
      await rm(staging, { recursive: true, force: true, maxRetries: 3 });
    }
    releaseMemory();
  }
  return written;
}

async function writeBundle(
  open: OpenProduct,
  variant: Variant,
  { store, data, identity }: StorePartitions,
  folder: string,
  device: StoreBundle['device'],
  compression: PartitionCompression,
  signal: AbortSignal | undefined,
): Promise<StoreBundle> {
  const name = bundleName(variant);
  const options = { progress: open.progress, ...(signal ? { signal } : {}) };
  const describe = (role: 'store' | 'data', { file, size, digest }: PartitionFile): StoredPartition => ({
    name: `boxship-${role}`,
    uuid: identity(role),
    partitionUuid: identity(`${role}-partition`),
    size,
    digest,
    file,
  });
  const partitions = {
    store: describe(
      'store',
      await writePartitionFile(folder, `${name}.store.ext4`, store, { ...options, compression }),
    ),
    data: describe(
      'data',
      await writePartitionFile(folder, `${name}.data.ext4`, data, { ...options, compression: 'none' }),
    ),
  };
  const bundle: StoreBundle = {
    kind: 'boxship-store-bundle',
    bundleVersion: 1,
    bundle: name,
    development: open.isDevelopment,
    device,
    partitions,
    variant,
  };
  const files = [partitions.store.file, partitions.data.file];
  await writeSigned(folder, `${name}.store.json`, `${JSON.stringify(bundle, null, 2)}\n`, files, await open.signer());
  return bundle;
}

/** What is known of the device: from its base image, as composing reads it, or else from the layer that will build it. */
async function factsOf(
  open: OpenProduct,
  variant: Variant,
): Promise<{ readonly facts: DeviceFacts; readonly device: StoreBundle['device'] }> {
  if (!variant.base) return { facts: builtDeviceFacts(open.product, variant), device: 'generated-layer' };
  const machine = open.product.machines.find(({ name }) => name === variant.machine.name)!;
  const base = await openBase(open, machine, variant);
  try {
    pick('engine', engines, variant.engine.name).check({ facts: base.facts, engine: variant.engine });
    return { facts: base.facts, device: 'base-image' };
  } finally {
    await base.image.close();
  }
}
