import { rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ImageDigests } from '@boxship/disk';
import { editExt4, type ContentWriter } from '@boxship/filesystem';
import {
  copiedRanges,
  digestWhileWritten,
  mappedRanges,
  openRawImage,
  rawImageName,
  writeRawFiles,
  type RawImageWriter,
} from '@boxship/formats';
import { makeFolder, partialPath, releaseMemory } from '@boxship/host';
import { UserError, formatByteSize, type ContentSource, type ScatterTarget, type Variant } from '@boxship/model';
import { releaseFolder, removeDamagedBlob } from '@boxship/catalog';
import { BLOB_KIND } from '@boxship/oci';
import { readComposed, recordComposed } from './composed-state.ts';
import { pumpContents, type Consumer } from './content-pump.ts';
import { groupByEntries } from './variant-groups.ts';
import { lockedImages, type LockedImages } from './locked-image.ts';
import type { OpenProduct, Selection } from './open-product.ts';
import { prepareVariant, type PreparedVariant } from './prepare-variant.ts';
import { putInPlace, refuseFile, removeLeftovers } from './release-folder.ts';
import { writeRelease, type Release, type ReleaseFile } from './release.ts';
import type { VariantPlan } from './variant-plan.ts';

export interface ComposeOptions {
  /** Folder that the releases go below: `<out>/<product>-<version>/<machine>-<engine>-<variant>/`. */
  readonly out: string;
  /** For what is there already: hash it again instead of trusting size, times and inode. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
  /** Entries of layers that are laid out at the same time; more variants than that are written one group after another. */
  readonly entriesAtOnce?: number;
  /** Called for each variant that will be written, before its first byte. */
  readonly onPlan?: (plan: VariantPlan) => void;
}

export interface ComposedVariant {
  readonly variant: Variant;
  /** Absolute. */
  readonly folder: string;
  /** It was there already, made from equal inputs. */
  readonly unchanged: boolean;
  readonly release: Release;
}

/** What composing would make, to the byte. Writes nothing but the cache. */
export async function planProduct(open: OpenProduct, selection: Selection = {}): Promise<readonly VariantPlan[]> {
  const locked = lockedImages(open.cache);
  const plans: VariantPlan[] = [];
  for (const variant of open.variants(selection)) {
    await using prepared = await prepareVariant(open, variant, locked);
    plans.push(prepared.plan);
  }
  return plans;
}

/**
 * Composes, signs and puts in place every selected variant. All are planned before the first byte; each layer is read once
 * and feeds every variant that holds it. A folder of artifacts appears whole or not at all.
 */
export async function composeProduct(
  open: OpenProduct,
  selection: Selection,
  options: ComposeOptions,
): Promise<readonly ComposedVariant[]> {
  const { cache, publicKeyPem } = open;
  await cache.sweep([BLOB_KIND]);
  const variants = open.variants(selection).map((variant) => ({
    variant,
    folder: resolve(options.out, releaseFolder(variant)),
  }));
  const composed = new Map<Variant, ComposedVariant>();
  for (const { variant, folder } of variants) {
    const release = await readComposed(folder, variant, { cache, publicKeyPem, verify: options.verify ?? false });
    if (release) composed.set(variant, { variant, folder, unchanged: true, release });
  }

  const changed = variants.filter(({ variant }) => !composed.has(variant));
  if (changed.length === 0) return variants.map(({ variant }) => composed.get(variant)!);
  const locked = lockedImages(cache);
  // Opening the key takes a third of a second of scrypt in a thread: it goes on while the variants are laid out.
  const signer = open.signer();
  signer.catch(() => {}); // told where it is waited for
  try {
    const groups = await groupByEntries(
      changed,
      ({ variant }) => locked.entryCount(variant.images),
      options.entriesAtOnce,
    );
    for (const { folder } of changed) await refuseFile(folder);
    if (groups.length > 1) {
      // All of it is laid out once to see that it fits, and each group again when its turn comes.
      let needed = 0;
      for (const { variant } of changed) {
        needed += await layOutOnce(open, variant, locked, options);
        releaseMemory();
      }
      await refuseFullDisk(options.out, needed);
    }
    for (const group of groups) {
      await composeGroup(open, group, locked, groups.length > 1 ? { ...options, onPlan: () => {} } : options, composed);
      releaseMemory();
    }
  } catch (error) {
    throw (await removeDamagedBlob(error, cache)) ?? error;
  }
  return variants.map(({ variant }) => composed.get(variant)!);
}

/** Plans a variant, and lets go of its layout; returns the bytes that it will write. */
async function layOutOnce(
  open: OpenProduct,
  variant: Variant,
  locked: LockedImages,
  { onPlan }: ComposeOptions,
): Promise<number> {
  await using prepared = await prepareVariant(open, variant, locked);
  onPlan?.(prepared.plan);
  return bytesToWrite(prepared);
}

/** Plans and writes variants together: what they share is read once. */
async function composeGroup(
  open: OpenProduct,
  group: readonly { readonly variant: Variant; readonly folder: string }[],
  locked: LockedImages,
  options: ComposeOptions,
  composed: Map<Variant, ComposedVariant>,
): Promise<void> {
  const works: VariantWork[] = [];
  try {
    for (const { variant, folder } of group) {
      const prepared = await prepareVariant(open, variant, locked);
      works.push({ prepared, folder, staging: partialPath(folder) });
      options.onPlan?.(prepared.plan);
    }
    releaseMemory();
    await removeLeftovers(options.out);
    await open.signer(); // a wrong password is told before anything is written
    await refuseFullDisk(
      options.out,
      works.reduce((sum, { prepared }) => sum + bytesToWrite(prepared), 0),
    );
    await writeVariants(open, works, options, composed);
  } finally {
    for (const { prepared } of works) await prepared[Symbol.asyncDispose]();
  }
}

interface VariantWork {
  readonly prepared: PreparedVariant;
  readonly folder: string;
  /** Beside `folder`, until it is whole. */
  readonly staging: string;
}

async function writeVariants(
  open: OpenProduct,
  works: readonly VariantWork[],
  { signal }: ComposeOptions,
  composed: Map<Variant, ComposedVariant>,
): Promise<void> {
  try {
    const images = await writeImages(open, works, signal);
    for (const work of works) {
      signal?.throwIfAborted();
      const release = await finishRelease(open, work, images.get(work)!, signal);
      await putInPlace(work.staging, work.folder);
      const { variant } = work.prepared;
      await recordComposed(work.folder, variant, release, open);
      composed.set(variant, { variant, folder: work.folder, unchanged: false, release });
    }
  } finally {
    for (const { staging } of works) await rm(staging, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The plain image of a variant, on the disk and digested. */
interface WrittenImage {
  readonly path: string;
  readonly digests: ImageDigests;
}

/** Writes the plain images of all variants in one pass over the layers. */
async function writeImages(
  open: OpenProduct,
  works: readonly VariantWork[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<VariantWork, WrittenImage>> {
  const images = new Map<VariantWork, RawImageWriter>();
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const step = open.progress.start(
    'composing',
    works.reduce((sum, { prepared }) => sum + workload(prepared), 0),
  );
  const onBytes = (bytes: number) => {
    either.throwIfAborted(); // one that fails stops all others: a full disk is told at once
    step.advance(bytes);
  };
  const jobs: Promise<unknown>[] = [];
  const digests = new Map<VariantWork, Promise<ImageDigests>>();
  try {
    for (const work of works) {
      await makeFolder(work.staging);
      const { variant, image } = work.prepared;
      images.set(work, await openRawImage(join(work.staging, rawImageName(variant)), image));
    }
    const consumers = consumersOf([...images.values()], works);
    for (const [work, image] of images) {
      const digest = digestWhileWritten(image, work.prepared.image, either);
      digest.catch((error: unknown) => stop.abort(error)); // told by those who stop, or where it is waited for
      digests.set(work, digest);
      jobs.push(image.writeFrame({ onBytes, edit: (path) => editRootfs(path, work.prepared) }));
    }
    jobs.push(pumpContents(consumers, { onBytes, signal: either }));
    await Promise.all(jobs);
    const ends = [...images].map(async ([work, image]): Promise<[VariantWork, WrittenImage]> => {
      const [found] = await Promise.all([digests.get(work)!, image.finish()]);
      return [work, { path: image.path, digests: found }];
    });
    jobs.push(...ends);
    return new Map(await Promise.all(ends));
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled([...jobs, ...digests.values()]); // nobody may use a file that is closed
    for (const image of images.values()) await image.abandon();
    throw error;
  } finally {
    step.end();
  }
}

async function editRootfs(path: string, { socket, rootfs, variant }: PreparedVariant): Promise<void> {
  if (socket.entries.length > 0) await editExt4(path, rootfs.start, socket.entries, { epoch: variant.epoch });
}

/** Who wants which source, over all variants: equal ids are one read. */
function consumersOf(images: readonly RawImageWriter[], works: readonly VariantWork[]): readonly Consumer[] {
  const sources = new Map<string, ContentSource>();
  for (const { prepared } of works) {
    for (const { plan } of prepared.image.filesystems)
      for (const source of plan.sources()) sources.set(source.id, source);
  }
  return [...sources.values()].map((source) =>
    source.scatter
      ? {
          source,
          writers: [],
          targets: images.flatMap((image): readonly ScatterTarget[] => image.scatterTargets(source)),
        }
      : { source, writers: images.flatMap((image): readonly ContentWriter[] => image.contentWriters(source)) },
  );
}

/** Signs what is in the staging folder and says what it is. */
async function finishRelease(
  open: OpenProduct,
  { prepared, staging }: VariantWork,
  { path, digests }: WrittenImage,
  signal: AbortSignal | undefined,
): Promise<Release> {
  const { variant, plan } = prepared;
  const files: readonly ReleaseFile[] = await writeRawFiles(path, digests, variant, {
    progress: open.progress,
    ...(signal ? { signal } : {}),
  });
  const release: Release = {
    kind: 'boxship-release',
    releaseVersion: 1,
    development: open.isDevelopment,
    files,
    partitions: plan.table.after.partitions.map(({ number, name, start, size, role }) => ({
      number,
      ...(name === undefined ? {} : { name }),
      start,
      size,
      role,
    })),
    rootfsChanges: plan.rootfs.changes.map(({ path }) => path),
    variant,
  };
  await writeRelease(staging, release, await open.signer());
  return release;
}

/** Bytes that will be read from the base and from sources: what progress counts. */
function workload({ image }: PreparedVariant): number {
  const copied = copiedRanges(image).reduce((sum, { start, end }) => sum + end - start, 0);
  return copied + image.filesystems.flatMap(({ plan }) => plan.sources()).reduce((sum, { size }) => sum + size, 0);
}

function bytesToWrite({ image }: PreparedVariant): number {
  return mappedRanges(image).reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Nothing is written that cannot fit: the images' bytes against what the file system has left. Errors: DISK_FULL. */
async function refuseFullDisk(out: string, needed: number): Promise<void> {
  await makeFolder(out);
  const { bavail, bsize } = await statfs(out);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new UserError(
    'DISK_FULL',
    `the images need up to ${formatByteSize(needed)}, ${out} has ${formatByteSize(free)} free`,
    'Free some room, compose fewer variants at once (--variant), or name another folder with --out.',
  );
}
