import { rm, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ArtifactSink } from '@boxship/formats';
import { makeFolder, partialPath, programRoom, releaseMemory, sideBySide, type ProgramRoom } from '@boxship/host';
import { UserError, formatByteSize, type Variant } from '@boxship/model';
import { releaseFolder, removeDamagedBlob } from '@boxship/catalog';
import { BLOB_KIND } from '@boxship/oci';
import { readComposed, recordComposed } from './composed-state.ts';
import { groupByMemory } from './variant-groups.ts';
import { lockedImages, type LockedImages } from './locked-image.ts';
import { scatterFromEarlier } from './earlier-images.ts';
import { updateSigner, type OpenProduct, type Selection } from './open-product.ts';
import { prepareVariant, type PreparedVariant } from './prepare-variant.ts';
import { putInPlace, refuseFile, removeLeftovers } from './release-folder.ts';
import { writeDocuments } from './release-documents.ts';
import { writeRelease, type Release, type ReleaseFile } from './release.ts';
import type { VariantPlan } from './variant-plan.ts';
import { writeArtifacts, type VariantWork } from './write-artifacts.ts';

export interface ComposeOptions {
  /** Folder that the releases go below: `<out>/<product>-<version>/<machine>-<engine>-<variant>/`. */
  readonly out: string;
  /** For what is there already: hash it again instead of trusting size, times and inode. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes that variants written together may take; more variants than that are written one group after another. */
  readonly memoryAtOnce?: number;
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
    const groups = await groupByMemory(
      changed,
      (some) => locked.entryCount(some.flatMap(({ variant }) => variant.images)),
      options.memoryAtOnce,
    );
    for (const { folder } of changed) await refuseFile(folder);
    // All of it is laid out before the first byte, to see that it fits; each later group again when its turn comes.
    const later = await layOutOnce(open, groups.slice(1).flat(), locked);
    for (const [turn, group] of groups.entries()) {
      await composeGroup(open, group, locked, options, turn === 0 ? later : undefined, composed);
      releaseMemory();
    }
  } catch (error) {
    throw (await removeDamagedBlob(error, cache)) ?? error;
  }
  return variants.map(({ variant }) => composed.get(variant)!);
}

/** What will be written after the first group. */
interface LaterGroups {
  readonly plans: readonly VariantPlan[];
  readonly bytesToWrite: number;
}

/** Plans variants, and lets go of the layout of each before the next is made. */
async function layOutOnce(
  open: OpenProduct,
  variants: readonly { readonly variant: Variant }[],
  locked: LockedImages,
): Promise<LaterGroups> {
  const plans: VariantPlan[] = [];
  let bytes = 0;
  const layOut = async (variant: Variant) => {
    await using prepared = await prepareVariant(open, variant, locked);
    plans.push(prepared.plan);
    bytes += bytesToWrite(prepared);
  };
  for (const { variant } of variants) {
    await layOut(variant);
    releaseMemory(); // nothing holds the layout any more
  }
  return { plans, bytesToWrite: bytes };
}

/**
 * Plans and writes variants together: what they share is read once. With `later`, this is the first group, and nothing of it is
 * written that leaves no room for what follows.
 */
async function composeGroup(
  open: OpenProduct,
  group: readonly { readonly variant: Variant; readonly folder: string }[],
  locked: LockedImages,
  options: ComposeOptions,
  later: LaterGroups | undefined,
  composed: Map<Variant, ComposedVariant>,
): Promise<void> {
  const works: (VariantWork & { readonly prepared: PreparedVariant })[] = [];
  try {
    await locked.laidOut.keepWhatIsUsedBy(async () => {
      for (const { variant, folder } of group) {
        const prepared = await prepareVariant(open, variant, locked);
        works.push({ prepared, folder, staging: partialPath(folder) });
        if (later) options.onPlan?.(prepared.plan);
      }
    });
    for (const plan of later?.plans ?? []) options.onPlan?.(plan);
    releaseMemory();
    await removeLeftovers(options.out);
    await open.signer(); // a wrong password is told before anything is written
    await refuseFullDisk(
      options.out,
      works.reduce((sum, { prepared }) => sum + bytesToWrite(prepared), later?.bytesToWrite ?? 0),
    );
    await writeVariants(open, works, options, composed);
  } finally {
    for (const { prepared } of works) await prepared[Symbol.asyncDispose]();
  }
}

/** Variants whose artifacts are made of written images at the same time: their programs share one room. */
const FINISHED_AT_ONCE = 2;

async function writeVariants(
  open: OpenProduct,
  works: readonly VariantWork[],
  { out, signal }: ComposeOptions,
  composed: Map<Variant, ComposedVariant>,
): Promise<void> {
  try {
    const scatter = await scatterFromEarlier(out, open.cache);
    const sinks = await writeArtifacts(open.progress, works, { signal, scatter });
    releaseMemory(); // that which the threads shared: programs of others come next
    const room = programRoom();
    await sideBySide(
      works.map((work) => async (stop) => {
        const release = await finishRelease(open, work, sinks.get(work)!, { room, signal: stop });
        stop.throwIfAborted(); // what takes the place of an earlier release is the last thing
        await putInPlace(work.staging, work.folder);
        const { variant } = work.prepared;
        await recordComposed(work.folder, variant, release, open);
        composed.set(variant, { variant, folder: work.folder, unchanged: false, release });
      }),
      { signal, atOnce: FINISHED_AT_ONCE },
    );
  } finally {
    for (const { staging } of works) await rm(staging, { recursive: true, force: true, maxRetries: 3 });
  }
}

interface FinishOptions {
  /** Of all that is made side by side; default: one of its own. */
  readonly room?: ProgramRoom;
  readonly signal: AbortSignal | undefined;
}

/** Signs what is in the staging folder and says what it is; `told` goes before what the plan says. */
export async function finishRelease(
  open: OpenProduct,
  { prepared, staging }: VariantWork,
  sinks: readonly ArtifactSink[],
  { room = programRoom(), signal }: FinishOptions,
  told: Partial<Pick<Release, 'rootfsChanges' | 'madeFrom'>> = {},
): Promise<Release> {
  const { variant, plan } = prepared;
  const options = { progress: open.progress, signer: await updateSigner(open), room };
  const finished = await sideBySide(
    sinks.map((sink) => (stop) => sink.finish({ ...options, signal: stop })),
    { signal },
  );
  const files: ReleaseFile[] = finished.flat();
  files.push(...(await writeDocuments(staging, prepared, files, await open.signer(), told.madeFrom)));
  const release: Release = {
    kind: 'boxship-release',
    releaseVersion: 1,
    development: open.isDevelopment,
    files,
    partitions: plan.table.after.partitions.map(({ number, name, start, size, role }) => ({
      number,
      ...(name === undefined ? {} : { name }),
      ...(start === undefined ? {} : { start }),
      size,
      role,
    })),
    rootfsChanges: plan.rootfs.changes.map(({ path }) => path),
    ...told,
    variant,
  };
  await writeRelease(staging, release, await open.signer());
  return release;
}

function bytesToWrite({ artifacts }: Pick<PreparedVariant, 'artifacts'>): number {
  return artifacts.reduce((sum, artifact) => sum + artifact.bytesToWrite, 0);
}

/** Nothing is written that cannot fit: the images' bytes against what the file system has left. Errors: DISK_FULL. */
export async function refuseFullDisk(out: string, needed: number): Promise<void> {
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
