import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePublicKey } from 'cosign-node-binding';
import type { Cache } from '@boxship/host';
import { UserError, type Variant } from '@boxship/model';
import { RELEASE_FILE, signatureNames, type Release } from './release.ts';
import { verifyRelease } from './verify-release.ts';

/** What a folder of artifacts was made from, and how its files looked right after. */
interface ComposedState {
  readonly inputs: string;
  readonly files: Readonly<Record<string, string>>;
}

export interface ComposedStateOptions {
  readonly cache: Cache;
  readonly publicKeyPem: string;
  /** Hash every file again instead of trusting size, times and inode. */
  readonly verify: boolean;
}

/**
 * The release in `folder`, when it was composed from equal inputs and every file is as it was left; undefined otherwise.
 * Decided by size, modification and change time and inode of the files and the digests recorded with them.
 */
export async function readComposed(
  folder: string,
  variant: Variant,
  options: ComposedStateOptions,
): Promise<Release | undefined> {
  const state = (await options.cache.recall('composed', keyOf(folder))) as ComposedState | undefined;
  if (typeof state?.files !== 'object' || state.inputs !== inputsOf(variant, options.publicKeyPem)) return undefined;
  for (const [name, expected] of Object.entries(state.files)) {
    if ((await fileState(join(folder, name))) !== expected) return undefined;
  }
  if (!options.verify) return JSON.parse(await readFile(join(folder, RELEASE_FILE), 'utf8')) as Release;
  try {
    return (await verifyRelease(folder, options.publicKeyPem)).release;
  } catch (error) {
    if (error instanceof UserError) return undefined; // it is made again
    throw error;
  }
}

/** Remembers what `folder` was made from, where the cache can be written: it only saves time. */
export async function recordComposed(
  folder: string,
  variant: Variant,
  release: Release,
  { cache, publicKeyPem }: Pick<ComposedStateOptions, 'cache' | 'publicKeyPem'>,
): Promise<void> {
  const names = [RELEASE_FILE, ...release.files.map(({ name }) => name)];
  const files: Record<string, string> = {};
  for (const name of names.flatMap((one) => [one, ...Object.values(signatureNames(one))])) {
    files[name] = await fileState(join(folder, name));
  }
  const state: ComposedState = { inputs: inputsOf(variant, publicKeyPem), files };
  await cache.remember('composed', keyOf(folder), state);
}

function keyOf(folder: string): string {
  return createHash('sha256').update(folder).digest('hex');
}

function inputsOf(variant: Variant, publicKeyPem: string): string {
  const { keyId } = parsePublicKey(publicKeyPem);
  return createHash('sha256').update(JSON.stringify({ variant, keyId })).digest('hex');
}

async function fileState(path: string): Promise<string> {
  const info = await stat(path, { bigint: true }).catch(() => undefined);
  return info ? [info.size, info.mtimeNs, info.ctimeNs, info.ino].join(' ') : 'missing';
}
