import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hashFile } from '@boxship/disk';
import type { Cache, Progress } from '@boxship/host';
import { UserError, isDigest, type FileIdentity, type Location } from '@boxship/model';

/**
 * Digest and size of a file. The digest is remembered by path, size, modification and change time and inode, so that a
 * vendor image of some GB is read once; `again` reads it all the same.
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

function isIdentity(value: unknown): value is FileIdentity {
  const { digest, size } = (value ?? {}) as Partial<FileIdentity>;
  return typeof digest === 'string' && isDigest(digest) && typeof size === 'number';
}
