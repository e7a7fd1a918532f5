import { realpath, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { releaseFolder } from '@boxship/catalog';
import type { PlannedArtifact } from '@boxship/formats';
import { partialPath } from '@boxship/host';
import { UserError, type Variant } from '@boxship/model';
import { finishRelease, refuseFullDisk } from './compose-product.ts';
import type { OpenArtifact } from './open-artifact.ts';
import { scatterFromEarlier } from './earlier-images.ts';
import type { OpenProduct } from './open-product.ts';
import { putInPlace, refuseFile, removeLeftovers } from './release-folder.ts';
import type { Release, ReleaseOrigin } from './release.ts';
import type { ReleasePlan } from './variant-plan.ts';
import { writeArtifacts } from './write-artifacts.ts';

export interface ExchangeOptions {
  /** The release goes to `<out>/<product>-<version>/<machine>-<engine>-<variant>/`. */
  readonly out: string;
  /** Public key that the artifact must be signed with. Default: the product's. */
  readonly publicKeyPem?: string;
  readonly signal?: AbortSignal;
  /** Called before the first byte is written. */
  readonly onPlan?: (plan: ExchangePlan) => void;
  /** Plan alone: nothing is written. */
  readonly dryRun?: boolean;
}

/** What the exchange of a half will make, to the byte. Plain JSON. */
export interface ExchangePlan extends ReleasePlan {
  readonly exchanged: 'apps' | 'base';
  /** The artifact that it is made of. */
  readonly from: string;
  /** What stays, byte for byte. */
  readonly kept: readonly string[];
}

export interface ExchangedRelease {
  readonly plan: ExchangePlan;
  /** Absolute. */
  readonly folder: string;
  /** Absent of a plan alone. */
  readonly release?: Release;
}

export interface Exchange {
  readonly variant: Variant;
  readonly plan: ExchangePlan;
  readonly artifacts: readonly PlannedArtifact[];
  readonly rootfsChanges: readonly string[];
  readonly madeFrom: ReleaseOrigin;
}

/** Where the new release goes. Errors: OUTPUT_TAKEN, OUTPUT_IS_INPUT. */
export async function exchangeFolder(out: string, variant: Variant, artifact: OpenArtifact): Promise<string> {
  const folder = resolve(out, releaseFolder(variant));
  await refuseFile(folder);
  const [there, input] = await Promise.all([realpath(folder).catch(() => folder), realpath(artifact.folder)]);
  if (there !== input) return folder;
  throw new UserError(
    'OUTPUT_IS_INPUT',
    `the new release would take the place of the one that it is made of: ${folder}`,
    'Name another folder with --out, or give the product another version.',
  );
}

/** Writes the release aside, signs it and puts it in place: whole or not at all. Errors: DISK_FULL and those of the key. */
export async function writeExchange(
  open: OpenProduct,
  folder: string,
  exchange: Exchange,
  { out, signal }: ExchangeOptions,
): Promise<Release> {
  await removeLeftovers(out);
  await open.signer(); // a wrong password is told before anything is written
  await refuseFullDisk(
    out,
    exchange.artifacts.reduce((sum, { bytesToWrite }) => sum + bytesToWrite, 0),
  );
  const work = { prepared: exchange, folder, staging: partialPath(folder) };
  try {
    const scatter = await scatterFromEarlier(out, open.cache);
    const sinks = (await writeArtifacts(open.progress, [work], { signal, scatter })).get(work)!;
    signal?.throwIfAborted();
    const { rootfsChanges, madeFrom } = exchange;
    const release = await finishRelease(open, work, sinks, { signal }, { rootfsChanges, madeFrom });
    await putInPlace(work.staging, folder);
    return release;
  } finally {
    await rm(work.staging, { recursive: true, force: true, maxRetries: 3 });
  }
}
