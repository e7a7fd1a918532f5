import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, copyFile, open, readFile, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { digestHex, UserError, type Descriptor, type Digest } from '@boxship/model';
import { writeFileAtomically, type Cache } from '@boxship/host';
import { digestMismatch, sha256Digest, sizeMismatch, type ImageSource } from './image-source.ts';
import { claimPartial, leavePartial, removePartial } from './partial-blob.ts';
import { familiarName, type Reference } from './reference.ts';

/** Cache kind of all blobs, manifests and configurations included; the key is the hex of the SHA-256. */
export const BLOB_KIND = 'blob';

/** Where a blob lies in the cache, or would lie. */
export function blobPath(cache: Cache, digest: Digest): string {
  return cache.path(BLOB_KIND, digestHex(digest));
}

/**
 * Whether the cache holds the blob in full size; what has another size is damaged and removed.
 * Errors: SIZE_MISMATCH when the bytes are right, so that it is the descriptor that lies.
 */
export async function hasBlob(cache: Cache, blob: Descriptor): Promise<boolean> {
  const file = blobPath(cache, blob.digest);
  const info = await stat(file).catch(() => undefined);
  if (!info) return false;
  if (info.isFile() && info.size === blob.size) return true;
  if (info.isFile()) {
    const hash = createHash('sha256');
    await hashFile(hash, file, () => {});
    if (`sha256:${hash.digest('hex')}` === blob.digest) {
      throw sizeMismatch(`blob ${blob.digest}`, blob.size, String(info.size), 'the cache');
    }
  }
  await cache.remove(BLOB_KIND, digestHex(blob.digest));
  return false;
}

/** Verified bytes of a small blob, or undefined; damaged ones are removed. */
export async function readCachedBytes(cache: Cache, digest: Digest): Promise<Uint8Array | undefined> {
  const bytes = await readFile(blobPath(cache, digest)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes && sha256Digest(bytes) !== digest) {
    await cache.remove(BLOB_KIND, digestHex(digest));
    return undefined;
  }
  return bytes;
}

/** Keeps verified bytes. */
export async function cacheBytes(cache: Cache, digest: Digest, bytes: Uint8Array): Promise<void> {
  const file = blobPath(cache, digest);
  await writeFileAtomically(file, bytes).catch((error: unknown) => {
    throw cacheError(error, file, bytes.length);
  });
}

export interface FetchBlobOptions {
  readonly signal?: AbortSignal;
  /** `count` more bytes are here. */
  readonly onBytes?: (count: number) => void;
}

const inFlight = new Map<string, Promise<string>>();

/**
 * Path of the blob in the cache, its digest and size verified as the bytes entered. A download that broke off, in this
 * run or an earlier one, is taken up where it ended. Runs at the same time do no harm: each writes aside and renames.
 * Errors: DIGEST_MISMATCH, SIZE_MISMATCH, CACHE_UNWRITABLE, and those of the source.
 */
export async function fetchBlob(
  source: ImageSource,
  reference: Reference,
  blob: Descriptor,
  cache: Cache,
  options: FetchBlobOptions = {},
): Promise<string> {
  const file = blobPath(cache, blob.digest);
  if (await hasBlob(cache, blob)) {
    const now = new Date();
    await utimes(file, now, now).catch(() => {}); // marks use; a read-only cache is fine
    return file;
  }
  for (;;) {
    const others = inFlight.get(file);
    if (!others) {
      const own = bringIn(source, reference, blob, file, options).finally(() => inFlight.delete(file));
      inFlight.set(file, own);
      return await own;
    }
    try {
      const path = await others;
      options.onBytes?.(blob.size);
      return path;
    } catch (error) {
      // another image that shares the blob was stopped; that is no reason to stop this one
      if ((error as Error).name !== 'AbortError' || options.signal?.aborted) throw error;
    }
  }
}

async function bringIn(
  source: ImageSource,
  reference: Reference,
  blob: Descriptor,
  file: string,
  { signal, onBytes }: FetchBlobOptions,
): Promise<string> {
  let told = 0;
  const tell = (position: number) => {
    if (position > told) onBytes?.(position - told);
    told = Math.max(told, position);
  };
  for (;;) {
    signal?.throwIfAborted();
    const aside = await claimPartial(file).catch((error: unknown) => {
      throw cacheError(error, file, blob.size);
    });
    const outcome = await receive(source, reference, blob, aside, tell, signal).catch((error: unknown) => {
      const mismatch = error instanceof UserError && error.code === 'SIZE_MISMATCH';
      if (mismatch && source.distrust?.(blob)) return undefined;
      throw error;
    });
    if (!outcome) continue;
    if (outcome.actual === blob.digest) {
      try {
        await rename(aside, file);
        return file;
      } catch (error) {
        // somebody on another machine took the partial file for abandoned: theirs is as good, or we begin anew
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw cacheError(error, file, blob.size);
        if (await stat(file).catch(() => undefined)) return file;
        continue;
      }
    }
    await removePartial(aside);
    // what an earlier run left may be at fault, or a mirror
    if (outcome.resumed || source.distrust?.(blob)) continue;
    throw digestMismatch(`blob ${blob.digest} of ${familiarName(reference)}`, blob.digest, outcome.actual, source.name);
  }
}

/** Writes the blob at `aside`, and says which digest it has and whether its first part was there before. */
async function receive(
  source: ImageSource,
  reference: Reference,
  blob: Descriptor,
  aside: string,
  tell: (position: number) => void,
  signal: AbortSignal | undefined,
): Promise<{ actual: Digest; resumed: boolean }> {
  const hash = createHash('sha256');
  const original = await source.blobFile?.(blob);
  if (original !== undefined && (await clone(original, aside))) {
    const { size } = await stat(aside);
    if (size !== blob.size) {
      await removePartial(aside);
      throw sizeMismatch(`blob ${blob.digest}`, blob.size, String(size), source.name);
    }
    await hashFile(hash, aside, tell);
    return { actual: `sha256:${hash.digest('hex')}`, resumed: false };
  }
  let handle: FileHandle | undefined;
  let position = 0;
  try {
    handle = await open(aside, constants.O_RDWR | constants.O_CREAT, 0o644);
    position = (await handle.stat()).size;
    if (position > blob.size) position = 0;
    const start = position;
    if (start > 0) await hashFile(hash, aside, tell, start);
    for await (const chunk of source.openBlob(reference, blob, { offset: position, ...(signal ? { signal } : {}) })) {
      if (position + chunk.length > blob.size) {
        throw sizeMismatch(`blob ${blob.digest}`, blob.size, `more than ${blob.size}`, source.name);
      }
      hash.update(chunk);
      await writeFully(handle, chunk, position);
      position += chunk.length;
      tell(position);
    }
    if (position < blob.size) throw sizeMismatch(`blob ${blob.digest}`, blob.size, String(position), source.name);
    await handle.truncate(blob.size);
    await handle.datasync(); // a blob of full size must not be zeros after a power cut: later runs trust its size
    return { actual: `sha256:${hash.digest('hex')}`, resumed: start > 0 };
  } catch (error) {
    const mismatch = error instanceof UserError && error.code === 'SIZE_MISMATCH';
    if (position > 0 && !mismatch) leavePartial(aside);
    else await removePartial(aside);
    throw cacheError(error, aside, blob.size);
  } finally {
    await handle?.close();
  }
}

/** A copy that shares its blocks with the original, where the file system can (btrfs, XFS). */
async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
    await chmod(to, 0o644); // not the original's mode
    return true;
  } catch {
    await rm(to, { force: true });
    return false; // read and written instead, which tells what is wrong
  }
}

async function hashFile(hash: Hash, file: string, tell: (position: number) => void, length = Infinity): Promise<void> {
  let position = 0;
  const end = length === Infinity ? {} : { end: length - 1 };
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024, ...end })) {
    hash.update(chunk as Buffer);
    position += (chunk as Buffer).length;
    tell(position);
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** What a person can mend about the cache's disk or a source's files; every other error as it is. */
function cacheError(error: unknown, file: string, size: number): unknown {
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: 'the disk is full', EDQUOT: 'the disk quota is used up', EFBIG: 'files may not be this large',
    EROFS: 'it is read-only', EACCES: 'permission denied', EPERM: 'permission denied',
  }; // prettier-ignore
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (syscall === 'open' && path !== undefined && !path.endsWith('.partial')) {
    return new UserError('IMAGE_UNREADABLE', `${path} cannot be read: ${code}`, 'Look at its owner and permissions.');
  }
  const isFileCall =
    syscall !== undefined && /^(open|write|mkdir|rename|f?datasync|fsync|ftruncate|fchmod|scandir)$/.test(syscall);
  if (!isFileCall || code === undefined || !Object.hasOwn(reasons, code)) return error;
  return new UserError(
    'CACHE_UNWRITABLE',
    `cannot write ${size} bytes to the cache (${file}): ${reasons[code]!}`,
    'Make room, or put the cache elsewhere with BOXSHIP_CACHE.',
  );
}
