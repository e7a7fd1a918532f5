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
 * Runs in a worker thread, so plain JavaScript in a string: the program is one file, and the sources need a loader. Reads
 * the file once. A range that starts at 0 costs nothing: its digest is that of the whole so far.
 */
const WORKER = `
const { workerData, parentPort } = require('node:worker_threads');
const { openSync, readSync, closeSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { path, size, ranges, written } = workerData;
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
const file = openSync(path, 'r');
const whole = createHash('sha256');
let untold = 0;
/** Waits until all bytes before \`end\`, or at least a buffer of them, are written; returns how far it is. */
function wait(at, end) {
  for (;;) {
    const now = Number(Atomics.load(written, 0));
    if (now >= end || now >= at + buffer.length) return now;
    Atomics.wait(written, 0, BigInt(now), 1000);
  }
}
function hash(start, end, part) {
  for (let at = start; at < end; ) {
    const ready = written ? Math.min(end, wait(at, end)) : end;
    const count = readSync(file, buffer, 0, Math.min(buffer.length, ready - at), at);
    if (count === 0) throw new Error(path + ' ends at ' + at + ' while it is read');
    const bytes = count === buffer.length ? buffer : buffer.subarray(0, count);
    whole.update(bytes);
    if (part) part.update(bytes);
    at += count;
    untold += count;
    if (untold >= 16 * 1024 * 1024) { parentPort.postMessage({ bytes: untold }); untold = 0; }
  }
}
let at = 0;
const digests = ranges.map(({ start, end }) => {
  hash(at, start);
  const part = start === 0 ? undefined : createHash('sha256');
  hash(start, end, part);
  at = end;
  return (part ?? whole.copy()).digest('hex');
});
hash(at, size);
closeSync(file);
parentPort.postMessage({ bytes: untold, digests, whole: whole.digest('hex') });
`;

/** Tells the hashing thread how much of a file that is still being written has its last bytes. */
export interface WrittenMark {
  /** All bytes before `position` are final. Positions only grow. */
  advance(position: number): void;
  /** For the thread. */
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
 * SHA-256 of a whole image and of each of its mapped ranges, in one read by a thread of its own: the caller's event loop
 * stays free. It can follow a writer, so that little is left to do when that is done.
 */
export async function digestImage(
  path: string,
  mapped: readonly ByteRange[],
  { onBytes = () => {}, signal, written }: DigestOptions = {},
): Promise<ImageDigests> {
  signal?.throwIfAborted();
  const { size } = await stat(path);
  const ranges = mapBlocks(mapped, size);
  const { whole, digests } = await new Promise<{ whole: string; digests: string[] }>((resolve, reject) => {
    const workerData = { path, size, ranges, written: written?.shared };
    const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [] });
    const abort = () => {
      void worker.terminate();
      reject(signal!.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', (message: { bytes: number; whole?: string; digests?: string[] }) => {
      onBytes(message.bytes);
      if (message.whole && message.digests) resolve({ whole: message.whole, digests: message.digests });
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      signal?.removeEventListener('abort', abort);
      reject(new Error(`the hashing thread ended with ${code}`)); // of no effect after a result
    });
  });
  return { sha256: `sha256:${whole}`, size, ranges: ranges.map((range, i) => ({ ...range, sha256: digests[i]! })) };
}
