import { Worker } from 'node:worker_threads';
import type { ByteRange, Digest } from '@boxship/model';
import { mapBlocks } from './bmap.ts';
import { stat } from 'node:fs/promises';

/** A run of whole blocks of an image and its SHA-256 (hex). */
export interface RangeDigest extends ByteRange {
  readonly sha256: string;
}

export interface ImageDigests {
  /** Of the whole file, holes read as zeros. */
  readonly sha256: Digest;
  readonly size: number;
  /** Of the mapped ranges, aligned to blocks of 4096 and merged: what `createBmap` takes. */
  readonly ranges: readonly RangeDigest[];
}

/**
 * Runs in a worker thread, so plain JavaScript in a string: the program is one file, and the sources need a loader.
 * Hashes each range by itself; reads it in blocks; tells how far it is.
 */
const WORKER = `
const { workerData, parentPort } = require('node:worker_threads');
const { openSync, readSync, closeSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { path, ranges, written } = workerData;
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
const file = openSync(path, 'r');
let untold = 0;
/** Waits until all bytes before \`end\`, or at least a buffer of them, are written; returns how far it is. */
function wait(at, end) {
  for (;;) {
    const now = Number(Atomics.load(written, 0));
    if (now >= end || now >= at + buffer.length) return now;
    Atomics.wait(written, 0, BigInt(now), 1000);
  }
}
const digests = ranges.map(({ start, end }) => {
  const hash = createHash('sha256');
  for (let at = start; at < end; ) {
    const ready = written ? Math.min(end, wait(at, end)) : end;
    const count = readSync(file, buffer, 0, Math.min(buffer.length, ready - at), at);
    if (count === 0) throw new Error(path + ' ends at ' + at + ' while it is read');
    hash.update(count === buffer.length ? buffer : buffer.subarray(0, count));
    at += count;
    untold += count;
    if (untold >= 16 * 1024 * 1024) { parentPort.postMessage({ bytes: untold }); untold = 0; }
  }
  return hash.digest('hex');
});
closeSync(file);
parentPort.postMessage({ bytes: untold, digests });
`;

/** Tells the hashing threads how much of a file that is still being written has its last bytes. */
export interface WrittenMark {
  /** All bytes before `position` are final. Positions only grow. */
  advance(position: number): void;
  /** For the threads. */
  readonly shared: BigInt64Array;
}

export function writtenMark(): WrittenMark {
  const shared = new BigInt64Array(new SharedArrayBuffer(8));
  return {
    shared,
    advance(position) {
      if (BigInt(position) <= Atomics.load(shared, 0)) return;
      Atomics.store(shared, 0, BigInt(position));
      Atomics.notify(shared, 0);
    },
  };
}

export interface DigestOptions {
  /** Counts the bytes of the whole. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** The file, of its final size already, is still being written: follow the mark, and read nothing beyond it. */
  readonly written?: WrittenMark;
}

/**
 * SHA-256 of a whole image and of each of its mapped ranges, by two threads at once: as quick as the whole alone, and
 * the caller's event loop stays free. It can follow a writer, so that little is left to do when that is done.
 */
export async function digestImage(
  path: string,
  mapped: readonly ByteRange[],
  { onBytes = () => {}, signal, written }: DigestOptions = {},
): Promise<ImageDigests> {
  const { size } = await stat(path);
  const blocks = mapBlocks(mapped, size);
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  try {
    const isWhole = blocks.length === 1 && blocks[0]!.start === 0 && blocks[0]!.end === size;
    const [[whole], parts] = await Promise.all([
      hashRanges(path, [{ start: 0, end: size }], onBytes, either, written),
      isWhole ? undefined : hashRanges(path, blocks, () => {}, either, written),
    ]);
    const digests = parts ?? [whole];
    return { sha256: `sha256:${whole!}`, size, ranges: blocks.map((block, i) => ({ ...block, sha256: digests[i]! })) };
  } finally {
    stop.abort(); // when one thread failed, the other has no purpose
  }
}

async function hashRanges(
  path: string,
  ranges: readonly ByteRange[],
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
  written: WrittenMark | undefined,
): Promise<string[]> {
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, {
      eval: true,
      workerData: { path, ranges, written: written?.shared },
      execArgv: [],
    });
    const abort = () => {
      void worker.terminate();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    worker.on('message', ({ bytes, digests }: { bytes: number; digests?: string[] }) => {
      onBytes(bytes);
      if (digests) resolve(digests);
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      signal.removeEventListener('abort', abort);
      reject(new Error(`the hashing thread ended with ${code}`)); // of no effect after a result
    });
  });
}
