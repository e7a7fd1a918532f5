import { constants, copyFile, open, type FileHandle } from 'node:fs/promises';
import { fileWriter, pageAlignedBuffer } from '@boxship/host';
import { MiB, type ByteRange, type Patch, type RandomReader, type RandomWriter } from '@boxship/model';

/** Holes are made of whole blocks of this size: that of ext4, xfs and btrfs, and of a block map. */
export const HOLE_BLOCK = 4096;
/** Bytes of one read. Larger ones gain nothing and cost memory. */
const READ_SIZE = 2 * MiB;
const ZEROS = Buffer.alloc(MiB);

/** What may be copied from: a reader, or an open file, which is read without an allocation for each read. */
export type CopySource = RandomReader | FileHandle;

export interface CopyOptions {
  /** Bytes that take the place of the source's, at positions of its. */
  readonly patches?: readonly Patch[];
  /** All of the ranges that lies before `end` is written. */
  readonly onCopied?: (end: number) => void;
  /** Told the number of bytes that were read since the last call, zeros included. */
  readonly onBytes?: (bytes: number) => void;
  /** Fed with the bytes of the ranges, in order, zeros included. */
  readonly hash?: { update(bytes: Uint8Array): unknown };
}

/**
 * Copies `ranges` to the same positions of a new, empty target; 4 KiB blocks of zeros are left as holes. Returns the
 * ranges that were written, merged, in order. The size of the target is the caller's (`truncate`).
 */
export async function copySparse(
  source: CopySource,
  target: RandomWriter,
  ranges: readonly ByteRange[],
  { patches = [], onCopied, onBytes, hash }: CopyOptions = {},
): Promise<ByteRange[]> {
  const written: ByteRange[] = [];
  const read = patched(readerInto(source), patches);
  // Two buffers: one is read into while the other is written.
  const buffers = [pageAlignedBuffer(READ_SIZE), pageAlignedBuffer(READ_SIZE)] as const;
  const pieces = cutRanges(ranges);
  let turn = 0;
  const readNext = () => {
    const piece = pieces.next();
    if (piece.done) return undefined;
    const buffer = buffers[turn++ % 2 === 0 ? 0 : 1];
    const { start, end } = piece.value;
    return { start, bytes: read(start, buffer.subarray(0, end - start)) };
  };
  let next = readNext();
  try {
    while (next) {
      const { start } = next;
      const bytes = await next.bytes;
      next = readNext();
      const done = writeData(target, start, bytes, written);
      hash?.update(bytes); // while they are written
      await done;
      onBytes?.(bytes.length);
      onCopied?.(start + bytes.length);
    }
  } finally {
    await next?.bytes.catch(() => {});
  }
  return written;
}

function readerInto(source: CopySource): (position: number, buffer: Buffer) => Promise<Uint8Array> {
  if (!('fd' in source)) return (position, buffer) => source.read(position, buffer.length);
  return async (position, buffer) => {
    for (let done = 0; done < buffer.length;) {
      const { bytesRead } = await source.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0)
        throw new Error(`the file ends at ${position + done}, ${buffer.length - done} bytes too early`);
      done += bytesRead;
    }
    return buffer;
  };
}

type ReadInto = ReturnType<typeof readerInto>;

function patched(read: ReadInto, patches: readonly Patch[]): ReadInto {
  return async (position, buffer) => {
    const bytes = await read(position, buffer);
    const touching = patches.filter(
      (patch) => patch.position < position + bytes.length && patch.position + patch.bytes.length > position,
    );
    if (touching.length === 0) return bytes;
    // a reader's bytes are its own
    const result = bytes === buffer ? buffer : Buffer.from(bytes);
    for (const patch of touching) {
      const offset = position - patch.position;
      result.set(patch.bytes.subarray(Math.max(0, offset), offset + bytes.length), Math.max(0, -offset));
    }
    return result;
  };
}

/** Ranges cut so that no piece is longer than a read, and pieces end where blocks do. */
function* cutRanges(ranges: readonly ByteRange[]): Generator<ByteRange, undefined> {
  for (const { start, end } of ranges) {
    for (let at = start; at < end;) {
      const stop = Math.min(end, at - (at % HOLE_BLOCK) + READ_SIZE);
      yield { start: at, end: stop };
      at = stop;
    }
  }
  return undefined;
}

/** Writes what is not zero of `bytes`, in whole blocks of the target, and notes it in `written`. */
async function writeData(
  target: RandomWriter,
  position: number,
  bytes: Uint8Array,
  written: ByteRange[],
): Promise<void> {
  for (const { start, end } of findData(bytes, position)) {
    await target.write(start, bytes.subarray(start - position, end - position));
    const last = written.at(-1);
    if (last && last.end === start) written[written.length - 1] = { start: last.start, end };
    else written.push({ start, end });
  }
}

/** Runs of blocks that are not all zeros. `bytes` lie at `position`, whose blocks count. */
function findData(bytes: Uint8Array, position: number): ByteRange[] {
  const runs: ByteRange[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let runStart = -1;
  for (let at = 0; at < buffer.length;) {
    if (runStart < 0 && buffer.length - at >= MiB && buffer.compare(ZEROS, 0, MiB, at, at + MiB) === 0) {
      at += MiB;
      continue;
    }
    const stop = Math.min(buffer.length, at + HOLE_BLOCK - ((position + at) % HOLE_BLOCK));
    // Most blocks of data differ from zero in their first byte or so: look before the call.
    const isZero = buffer[at] === 0 && buffer.compare(ZEROS, 0, stop - at, at, stop) === 0;
    if (isZero && runStart >= 0) {
      runs.push({ start: position + runStart, end: position + at });
      runStart = -1;
    } else if (!isZero && runStart < 0) runStart = at;
    at = stop;
  }
  if (runStart >= 0) runs.push({ start: position + runStart, end: position + buffer.length });
  return runs;
}

/** A new file that takes a stream of bytes from its start, and leaves zeros as holes. */
export interface SparseStream {
  write(bytes: Uint8Array): Promise<void>;
  /** Gives the file its size and brings it to the disk. Returns the size. */
  finish(): Promise<number>;
}

export function sparseStream(handle: FileHandle): SparseStream {
  const target = fileWriter(handle);
  const buffer = Buffer.allocUnsafeSlow(READ_SIZE);
  let flushed = 0;
  let filled = 0;
  const flush = async () => {
    await writeData(target, flushed, buffer.subarray(0, filled), []);
    flushed += filled;
    filled = 0;
  };
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        const count = Math.min(bytes.length - at, buffer.length - filled);
        buffer.set(bytes.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled === buffer.length) await flush();
      }
    },
    async finish() {
      await flush();
      await handle.truncate(flushed);
      await handle.sync();
      return flushed;
    },
  };
}

/** Errors of a file system, or of a pair of them, that has no shared extents. */
const NO_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY', 'EPERM', 'ETXTBSY']);

/**
 * Makes `destination`, a new file, equal to `source`: as a clone that shares its blocks (btrfs, xfs, bcachefs), at no
 * cost; where that is not possible, as a sparse copy. Says which it was.
 */
export async function cloneOrCopyFile(
  source: string,
  destination: string,
  options: CopyOptions = {},
): Promise<'cloned' | 'copied'> {
  if (!options.hash) {
    try {
      await copyFile(source, destination, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
      return 'cloned';
    } catch (error) {
      if (!NO_CLONE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  const from = await open(source, 'r');
  try {
    const to = await open(destination, 'wx');
    try {
      const { size } = await from.stat();
      await copySparse(from, fileWriter(to), [{ start: 0, end: size }], options);
      await to.truncate(size);
      return 'copied';
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}
