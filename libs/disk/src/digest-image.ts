import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { noteChange } from '@boxship/host';
import { MiB, type ByteRange, type Digest, type DirectWay, type HandOver } from '@boxship/model';
import { mapBlocks, type RangeDigest } from './bmap.ts';
import type { DigestJob, DigestMessage } from './digest-thread.ts';
import thread from './digest-thread.ts?thread';

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
  /** Of the parts that were asked for, in their order. */
  readonly parts: readonly Digest[];
  readonly checkpoints: Checkpoints;
}

/** Tells the hashing thread how much of a file that is still being written has its last bytes. */
export interface WrittenMark {
  /** All bytes before `position` are final. Positions only grow. */
  advance(position: number): void;
  /** For the thread. */
  readonly shared: BigInt64Array;
}

/** With `handOver`, its reader is woken too. */
export function writtenMark(handOver?: HandOver): WrittenMark {
  const shared = new BigInt64Array(new SharedArrayBuffer(8));
  return {
    shared,
    advance(position) {
      if (BigInt(position) <= Atomics.load(shared, 0)) return;
      Atomics.store(shared, 0, BigInt(position));
      Atomics.notify(shared, 0);
      if (handOver) noteChange(handOver);
    },
  };
}

export interface DigestOptions {
  /** Counts the bytes of the whole. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** Parts that get a digest each: of these ranges, ascending and apart, one after another. */
  readonly parts?: readonly (readonly ByteRange[])[];
  /** Holes: read as zeros without being read. Ascending and apart. */
  readonly zeros?: readonly ByteRange[];
  /** The file, of its final size already, is still being written: follow the mark, and read nothing beyond it. */
  readonly written?: WrittenMark;
  /** Of who writes the file: it is read past the page cache as long as it is written that way. */
  readonly directWay?: DirectWay | undefined;
  /** Of who writes the file; its mark was made with it. What is in these buffers is taken from there. */
  readonly handOver?: HandOver | undefined;
}

/**
 * SHA-256 of a whole image and of each of its mapped ranges, in one read by a thread of its own: the caller's event loop
 * stays free. It can follow a writer, so that little is left to do when that is done.
 */
export async function digestImage(
  path: string,
  mapped: readonly ByteRange[],
  { onBytes = () => {}, signal, parts = [], zeros = [], written, directWay, handOver }: DigestOptions = {},
): Promise<ImageDigests> {
  signal?.throwIfAborted();
  const { size } = await stat(path);
  const ranges = mapBlocks(mapped, size);
  const found = await new Promise<NonNullable<DigestMessage['result']>>((resolve, reject) => {
    const workerData: DigestJob = {
      file: { path, size, zeros, written: written?.shared, directWay, handOver },
      ...{ ranges, parts, step: CHECKPOINT_STEP },
    };
    const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
    const worker = new Worker(thread, { eval: true, workerData, execArgv: [], resourceLimits });
    const abort = () => {
      void worker.terminate();
      reject(signal!.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', ({ bytes, result }: DigestMessage) => {
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
    sha256: `sha256:${found.whole}`,
    size,
    ranges: ranges.map((range, i) => ({ ...range, sha256: found.ranges[i]! })),
    parts: found.parts.map((sha256): Digest => `sha256:${sha256}`),
    checkpoints: { step: CHECKPOINT_STEP, sha256: found.checkpoints },
  };
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
