import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hashFile } from '@boxship/disk';
import { baseImageFormats } from '@boxship/formats';
import type { Cache, Progress } from '@boxship/host';
import { UserError, digestHex, isDigest, type FileIdentity, type Location } from '@boxship/model';

/**
 * Digest and size of a file, or of the folder of a base image with all its files. The digest is remembered by path, size,
 * modification and change time and inode, so that a vendor image of some GB is read once; `again` reads it all the same.
 */
export async function fileIdentity(
  path: string,
  cache: Cache,
  progress: Progress,
  { again = false, where }: { readonly again?: boolean; readonly where?: Location } = {},
): Promise<FileIdentity> {
  const info = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('NOT_FOUND', `there is no file ${path}`, 'Paths are relative to boxship.yaml.', where);
  });
  if (info.isDirectory()) return await folderIdentity(path, cache, progress, { again, ...(where ? { where } : {}) });
  if (!info.isFile()) throw new UserError('NOT_A_FILE', `${path} is not a file`, undefined, where);
  const state = [resolve(path), info.size, info.mtimeNs, info.ctimeNs, info.dev, info.ino].join('\n');
  const memo = createHash('sha256').update(state).digest('hex');
  if (!again) {
    const known = await cache.recall('file-identity', memo);
    if (isIdentity(known)) return known;
  }
  const step = progress.start(`hashing ${path}`, Number(info.size));
  try {
    const identity = await hashFile(path, (bytes) => step.advance(bytes));
    await cache.remember('file-identity', memo, identity);
    return identity;
  } finally {
    step.end();
  }
}

/** Of the folder's files: the digest of the lines that `sha256sum` prints for them in the order of their names. */
async function folderIdentity(
  folder: string,
  cache: Cache,
  progress: Progress,
  options: { readonly again: boolean; readonly where?: Location },
): Promise<FileIdentity> {
  const formats = Object.values(baseImageFormats);
  const known = await Promise.all(formats.map((format) => format.probe(folder)));
  if (!known.includes(true)) throw new UserError('NOT_A_FILE', `${folder} is not a file`, undefined, options.where);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1)); // prettier-ignore
  const lines = createHash('sha256');
  let size = 0;
  for (const name of names.sort()) {
    const file = await fileIdentity(join(folder, name), cache, progress, options);
    lines.update(`${digestHex(file.digest)}  ${name}\n`);
    size += file.size;
  }
  return { digest: `sha256:${lines.digest('hex')}`, size };
}

function isIdentity(value: unknown): value is FileIdentity {
  const { digest, size } = (value ?? {}) as Partial<FileIdentity>;
  return typeof digest === 'string' && isDigest(digest) && typeof size === 'number';
}
