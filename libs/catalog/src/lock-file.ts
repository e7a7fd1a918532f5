import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError, type FileIdentity, type LockedImage } from '@boxship/model';
import { writeFileAtomically } from '@boxship/host';
import type { Digest } from '@boxship/model';
import validate from './lock-schema.json?validator';

export interface LockedBase extends FileIdentity {
  /** The file or URL of the product file that was locked. */
  readonly from: string;
}

export interface LockedApp {
  readonly compose: string;
  /** Digest over the Compose file and every file that it brings along. */
  readonly digest: Digest;
  readonly images: readonly string[];
}

/** boxship.lock: every input of the product as a digest. After it, nothing needs the network. */
export interface Lock {
  readonly lockVersion: 1;
  readonly product: string;
  /** Time of everything generated: the newest creation time among the images' configurations, seconds since 1970. */
  readonly epoch: number;
  readonly bases: Readonly<Record<string, LockedBase>>;
  readonly apps: Readonly<Record<string, LockedApp>>;
  /** Where each image came from, by normalised reference. */
  readonly origins: Readonly<Record<string, string>>;
  readonly images: readonly LockedImage[];
  /** Host programs whose version can change bytes of an artifact. */
  readonly tools: Readonly<Record<string, string>>;
}

/** boxship.lock beside the product file. */
export function lockPath(productFile: string): string {
  return join(dirname(productFile), 'boxship.lock');
}

/** Errors: NO_LOCK, BAD_LOCK (not JSON, another version, a hand's mistake). */
export async function readLock(productFile: string): Promise<Lock> {
  const path = lockPath(productFile);
  const hint = 'Run: boxship lock';
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('NO_LOCK', `there is no ${path}`, hint);
  });
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new UserError('BAD_LOCK', `${path} is not JSON: ${(error as Error).message}`, hint, { file: path });
  }
  if (validate(value)) {
    const lock = value as Lock;
    refuseTwins(lock, path);
    return lock;
  }
  const { instancePath, message } = validate.errors![0]!;
  throw new UserError('BAD_LOCK', `${path} is not a lock of this version: ${instancePath} ${message}`, hint, {
    file: path,
  });
}

/** A merge can leave an image twice, each with other digests. */
function refuseTwins({ images }: Lock, path: string): void {
  const seen = new Set<string>();
  for (const { reference, platform } of images) {
    const key = `${reference} for ${platform}`;
    if (seen.has(key)) throw new UserError('BAD_LOCK', `${path} has ${key} twice`, 'Run: boxship lock', { file: path });
    seen.add(key);
  }
}

export async function writeLock(productFile: string, lock: Lock): Promise<void> {
  await writeFileAtomically(lockPath(productFile), `${JSON.stringify(lock, null, 2)}\n`);
}
