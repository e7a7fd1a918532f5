import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { assembleDisk } from '@boxship/disk-assembly';
import type { Cache, Progress } from '@boxship/host';
import { UserError, type Location } from '@boxship/model';
import { parseWks } from '@boxship/yocto';
import { fileIdentity } from './base-identity.ts';

/** A root file system and how the disk around it is laid out. Paths are relative to the product file. */
export interface AssembledBase {
  readonly rootfs: string;
  readonly wks: string;
  /** What the wks names: files of `rawcopy`, folders by mount point or label. */
  readonly files: Readonly<Record<string, string>>;
  /** Values for `${NAME}` in the wks. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Counts up when equal inputs begin to give other bytes. */
const KIND = 'assembled-base-v1';

/**
 * The image of a disk that is made of these parts, in the cache; made when it is not there. Equal parts give equal bytes. Errors:
 * NOT_FOUND, those of the wks with its line, those of the rootfs.
 */
export async function assembleBase(
  productFile: string,
  base: AssembledBase,
  { cache, progress, where }: { readonly cache: Cache; readonly progress: Progress; readonly where?: Location },
): Promise<string> {
  const folder = dirname(productFile);
  const place = where ? { where } : {};
  const wksFile = resolve(folder, base.wks);
  const included: string[] = [];
  const text = await readFile(wksFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('NOT_FOUND', `there is no file ${wksFile}`, 'Paths are relative to boxship.yaml.', where);
  });
  const wks = parseWks(wksFile, text, {
    variables: base.variables,
    include(name) {
      const file = resolve(dirname(wksFile), name);
      try {
        included.push(readFileSync(file, 'utf8'));
        return { file, text: included.at(-1)! };
      } catch {
        return undefined;
      }
    },
  });
  const rootfs = { path: resolve(folder, base.rootfs), ...(await fileIdentity(resolve(folder, base.rootfs), cache, progress, place)) }; // prettier-ignore
  const files = Object.entries(base.files).map(([name, path]) => [name, resolve(folder, path)] as const);
  const digests: unknown[] = [];
  for (const [name, path] of files) digests.push([name, await contentDigest(path, cache, progress, place)]);
  // the layout alone makes UUIDs: they stay when the rootfs is a newer one
  const seed = digestOf([text, included, base.variables]);
  const key = digestOf([seed, rootfs.digest, digests]);
  return await cache.get(KIND, key, async (target) => {
    const step = progress.start(`assembling the disk of ${base.wks}`);
    try {
      await assembleDisk({ wks, rootfs, files: Object.fromEntries(files), seed }, target, { cache, progress });
    } catch (error) {
      if (!(error instanceof UserError) || !where) throw error;
      throw new UserError(error.problems.map((problem) => ({ ...problem, where: problem.where ?? where })));
    } finally {
      step.end();
    }
  });
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** Of a file its digest, of a folder those of all files in it by their names. */
async function contentDigest(
  path: string,
  cache: Cache,
  progress: Progress,
  place: { where?: Location },
): Promise<unknown> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isDirectory()) return (await fileIdentity(path, cache, progress, place)).digest;
  const found: unknown[] = [];
  for (const name of (await readdir(path)).sort()) {
    const executable = ((await stat(join(path, name))).mode & 0o111) !== 0;
    found.push([name, executable, await contentDigest(join(path, name), cache, progress, place)]);
  }
  return found;
}
