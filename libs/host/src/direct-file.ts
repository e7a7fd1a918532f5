import { closeSync, constants, fdatasyncSync, openSync, read, readSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { MiB, type DirectWay, type RandomWriter } from '@boxship/model';
import { withPath } from './file-access.ts';
import { isPageAligned } from './page-aligned.ts';

/**
 * Positions, lengths and addresses of direct I/O are multiples of this: of a disk's logical blocks (open(2), O_DIRECT; 4096 at
 * most), and of the machine's pages, so that no page has bytes of both ways, which may be written at the same time. A page has
 * 4096 bytes on x86-64 and up to 64 KiB elsewhere (arm64, ppc64).
 */
const BLOCK = process.arch === 'x64' ? 4096 : 64 * 1024;
/** Shorter ones are better left to the page cache, which puts them together. */
const SHORTEST = 256 * 1024;
/** After so many bytes of a writer's it is known how quick the disk is. */
const PROBED = 32 * MiB;
/**
 * In bytes per second, of the best quarter of the writes (the others may have waited for a core) and of a flush after them. A disk
 * that is slower than a core inflates, a SATA one at the latest, is better written behind the program's back. So is one that takes
 * everything at once and is busy with it when it is asked to flush, as the disks of virtual machines are.
 */
const QUICK = 768 * MiB;

/** Nobody knows yet whether it pays; it does not, or the file system has none; it does; a writer is finding out. */
const [UNTRIED, CLOSED, PROVEN, TIMED] = [0, 1, 2, 3];

/** Open until a writer finds that it does not pay: the first that has timed enough of its writes decides for all. */
export function newDirectWay(): DirectWay {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** A file that is read or written past the page cache where that is possible, and as long as its disk is quick. */
export interface DirectFile extends Disposable {
  /** Reads up to `bytes.length` bytes; 0 at the end. */
  readSync(bytes: Uint8Array, position: number): number;
  /** The same, in a thread of libuv. */
  read(bytes: Uint8Array, position: number): Promise<number>;
  /** Writes up to `bytes.length` bytes, at least one. */
  writeSync(bytes: Uint8Array, position: number): number;
  /** The same, in a thread of libuv. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Whether whole blocks go past the page cache now. */
  isDirect(): boolean;
}

const readInThread = promisify(read);
const writeInThread = promisify(write);

/**
 * Gives a file that is open as `descriptor` a second, direct way. Whole blocks in memory of `pageAlignedBuffer` go that way: a
 * page cache that takes gigabytes which nobody reads again costs a copy, a page for each block, and what others had in it. All
 * else goes through `descriptor`, which stays the caller's: the kernel keeps both ways coherent. So does everything where the
 * file system has no direct I/O, and on a disk that is slow, where the page cache lets work go on meanwhile. Without `way` there
 * is none but the ordinary one.
 */
export function openDirectFile(
  descriptor: number,
  path: string,
  access: 'read' | 'write',
  way: DirectWay | undefined,
): DirectFile {
  const direct = way && !isClosed(way) ? openDirect(path, access) : undefined;
  if (way && direct === undefined) close(way);
  const isDirect = () => direct !== undefined && !isClosed(way!);
  let probe = access === 'write' ? { bytes: 0, rates: [] as number[] } : undefined;
  const note = (bytes: number, since: bigint) => {
    if (!probe || Atomics.load(way!, 0) !== UNTRIED) return;
    probe.bytes += bytes;
    probe.rates.push(bytes / secondsSince(since));
    if (probe.bytes < PROBED) return;
    const { rates } = probe;
    const rate = rates.sort((a, b) => a - b)[Math.floor((rates.length * 3) / 4)]!;
    if (Atomics.compareExchange(way!, 0, UNTRIED, TIMED) === UNTRIED) {
      const found = rate >= QUICK && probe.bytes / (probe.bytes / rate + flushTime()) >= QUICK ? PROVEN : CLOSED;
      Atomics.compareExchange(way!, 0, TIMED, found);
    }
    probe = undefined;
  };
  const flushTime = () => {
    const start = process.hrtime.bigint();
    fdatasyncSync(direct!);
    return secondsSince(start);
  };
  const wayOf = (bytes: Uint8Array, position: number): number =>
    isDirect() &&
    bytes.length >= SHORTEST &&
    (position | bytes.length | bytes.byteOffset) % BLOCK === 0 &&
    isPageAligned(bytes)
      ? direct!
      : descriptor;
  /** Whether the file system took the flag and refuses it now: then the ordinary way is left. */
  const isRefused = (taken: number, error: unknown): boolean => {
    if (taken === descriptor || !REFUSALS.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    close(way!);
    return true;
  };
  const sync = (bytes: Uint8Array, position: number, call: (descriptor: number) => number): number => {
    const taken = wayOf(bytes, position);
    const start = process.hrtime.bigint();
    try {
      const count = call(taken);
      if (taken !== descriptor) note(count, start);
      return count;
    } catch (error) {
      if (isRefused(taken, error)) return call(descriptor);
      throw error;
    }
  };
  const inThread = async (
    bytes: Uint8Array,
    position: number,
    call: (descriptor: number) => Promise<number>,
  ): Promise<number> => {
    const taken = wayOf(bytes, position);
    const start = process.hrtime.bigint();
    try {
      const count = await call(taken);
      if (taken !== descriptor) note(count, start);
      return count;
    } catch (error) {
      if (isRefused(taken, error)) return await call(descriptor);
      throw error;
    }
  };
  return {
    readSync: (bytes, at) => sync(bytes, at, (file) => readSync(file, bytes, 0, bytes.length, at)),
    writeSync: (bytes, at) => sync(bytes, at, (file) => writeSync(file, bytes, 0, bytes.length, at)),
    read: (bytes, at) =>
      inThread(bytes, at, async (file) => (await readInThread(file, bytes, 0, bytes.length, at)).bytesRead),
    write: (bytes, at) =>
      inThread(bytes, at, async (file) => (await writeInThread(file, bytes, 0, bytes.length, at)).bytesWritten),
    isDirect,
    [Symbol.dispose]() {
      if (direct !== undefined) closeSync(direct);
    },
  };
}

/** A writer over an open file; `path` is for errors. */
export function directWriter(file: Pick<DirectFile, 'write'>, path: string): RandomWriter {
  return {
    async write(position, bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done), position + done);
      } catch (error) {
        throw withPath(error, path);
      }
    },
  };
}

const secondsSince = (start: bigint) => Number(process.hrtime.bigint() - start) / 1e9;
const isClosed = (way: DirectWay) => Atomics.load(way, 0) === CLOSED;
const close = (way: DirectWay) => void Atomics.store(way, 0, CLOSED);

/** What file systems say that have no direct I/O, at once or at the first call. */
const REFUSALS = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

function openDirect(path: string, access: 'read' | 'write'): number | undefined {
  if (constants.O_DIRECT === undefined) return undefined; // not Linux
  try {
    return openSync(path, constants.O_DIRECT | (access === 'read' ? constants.O_RDONLY : constants.O_WRONLY));
  } catch (error) {
    if (REFUSALS.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
