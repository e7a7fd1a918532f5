import { Worker } from 'node:worker_threads';
import { createHash } from 'node:crypto';
import { MiB, type ByteRange, type Digest } from '@boxship/model';
import { mapBlocks, type RangeDigest } from './bmap.ts';
import { open, stat } from 'node:fs/promises';

/** Digests of ever longer starts of a file: where it differs from what it was is found to one step. */
export interface Checkpoints {
  /** Bytes from one to the next. */
  readonly step: number;
  /** SHA-256 (hex) of the first `step`, `2 * step`, … bytes; what is left at the end has none. */
  readonly sha256: readonly string[];
}

/** Bytes between checkpoints of an image. */
const CHECKPOINT_STEP = 16 * MiB;

export interface ImageDigests {
  /** Of the whole file, holes read as zeros. */
  readonly sha256: Digest;
  readonly size: number;
  /** Of the mapped ranges, aligned to blocks of 4096 and merged: what `createBmap` takes. */
  readonly ranges: readonly RangeDigest[];
  readonly checkpoints: Checkpoints;
}

/**
 * Runs in a worker thread, so plain JavaScript in a string: the program is one file, and the sources need a loader. Reads
 * the file once. A range that starts at 0 costs nothing: its digest is that of the whole so far.
 */
const WORKER = `
const { workerData, parentPort } = require('node:worker_threads');
const { openSync, readSync, closeSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { path, size, ranges, zeros, written, step } = workerData;
const buffer = Buffer.allocUnsafeSlow(256 * 1024); // stays in the core's cache until it is hashed
const nothing = Buffer.alloc(buffer.length);
let hole = 0;
const file = openSync(path, 'r');
const whole = createHash('sha256');
let untold = 0;
const checkpoints = [];
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
    while (hole < zeros.length && zeros[hole].end <= at) hole++;
    const next = zeros[hole] ?? { start: end, end };
    const most = Math.min(buffer.length, step - (at % step));
    let bytes;
    if (next.start <= at) {
      bytes = nothing.subarray(0, Math.min(most, next.end - at, end - at));
    } else {
      const stop = Math.min(end, next.start);
      const ready = written ? Math.min(stop, wait(at, stop)) : stop;
      const read = readSync(file, buffer, 0, Math.min(most, ready - at), at);
      if (read === 0) throw new Error(path + ' ends at ' + at + ' while it is read');
      bytes = read === buffer.length ? buffer : buffer.subarray(0, read);
    }
    const count = bytes.length;
    whole.update(bytes);
    if (part) part.update(bytes);
    at += count;
    if (at % step === 0) checkpoints.push(whole.copy().digest('hex'));
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
parentPort.postMessage({ bytes: untold, result: { digests, checkpoints, whole: whole.digest('hex') } });
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
  /** Holes: read as zeros without being read. Ascending and apart. */
  readonly zeros?: readonly ByteRange[];
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
  { onBytes = () => {}, signal, zeros = [], written }: DigestOptions = {},
): Promise<ImageDigests> {
  signal?.throwIfAborted();
  const { size } = await stat(path);
  const ranges = mapBlocks(mapped, size);
  const { whole, digests, checkpoints } = await new Promise<WorkerResult>((resolve, reject) => {
    const workerData = { path, size, ranges, zeros, written: written?.shared, step: CHECKPOINT_STEP };
    const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [] });
    const abort = () => {
      void worker.terminate();
      reject(signal!.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', ({ bytes, result }: { bytes: number; result?: WorkerResult }) => {
      onBytes(bytes);
      if (result) resolve(result);
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      signal?.removeEventListener('abort', abort);
      reject(new Error(`the hashing thread ended with ${code}`)); // of no effect after a result
    });
  });
  return {
    sha256: `sha256:${whole}`,
    size,
    ranges: ranges.map((range, i) => ({ ...range, sha256: digests[i]! })),
    checkpoints: { step: CHECKPOINT_STEP, sha256: checkpoints },
  };
}

interface WorkerResult {
  readonly whole: string;
  readonly digests: readonly string[];
  readonly checkpoints: readonly string[];
}

/** The first step of a file that differs from its checkpoints, or undefined when only what follows the last one can. */
export async function findDifference(path: string, { step, sha256 }: Checkpoints): Promise<ByteRange | undefined> {
  const handle = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(step, MiB));
    let at = 0;
    for (const [index, expected] of sha256.entries()) {
      for (const end = (index + 1) * step; at < end;) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0) return { start: index * step, end };
        hash.update(buffer.subarray(0, bytesRead));
        at += bytesRead;
      }
      if (hash.copy().digest('hex') !== expected) return { start: index * step, end: at };
    }
    return undefined;
  } finally {
    await handle.close();
  }
}
