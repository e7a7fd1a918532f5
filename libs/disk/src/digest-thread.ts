import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { ByteRange } from '@boxship/model';

/** What the thread of `digestImage` is started with. */
export interface DigestJob {
  readonly path: string;
  readonly size: number;
  readonly ranges: readonly ByteRange[];
  readonly parts: readonly (readonly ByteRange[])[];
  readonly zeros: readonly ByteRange[];
  /** How far the file is final; absent when it is. */
  readonly written: BigInt64Array | undefined;
  /** Bytes between checkpoints. */
  readonly step: number;
}

export interface DigestMessage {
  /** Hashed since the last message. */
  readonly bytes: number;
  readonly result?: {
    readonly whole: string;
    readonly ranges: readonly string[];
    readonly parts: readonly string[];
    readonly checkpoints: readonly string[];
  };
}

/** A range that has a digest of its own, or is a piece of one that has. */
interface Open extends ByteRange {
  readonly hash: Hash;
}

const job = workerData as DigestJob;
const buffer = Buffer.allocUnsafeSlow(256 * 1024); // stays in the core's cache until it is hashed
const nothing = Buffer.alloc(buffer.length);
const TOLD = 16 * 1024 * 1024;

/** Waits until all bytes before `end`, or at least a buffer of them, are written; returns how far it is. */
function wait(written: BigInt64Array, at: number, end: number): number {
  for (;;) {
    const now = Number(Atomics.load(written, 0));
    if (now >= end || now >= at + buffer.length) return now;
    Atomics.wait(written, 0, BigInt(now), 1000);
  }
}

/**
 * Reads the file once. A range that starts at 0 costs nothing: its digest is that of the whole so far. Only the first can: they
 * ascend and are apart.
 */
function run({ path, size, ranges, parts, zeros, written, step }: DigestJob): DigestMessage {
  const file = openSync(path, 'r');
  const whole = createHash('sha256');
  const first = ranges[0]?.start === 0 ? ranges[0] : undefined;
  let firstDigest = '';
  const rangeHashes = ranges.slice(first ? 1 : 0).map((range) => ({ ...range, hash: createHash('sha256') }));
  const partHashes = parts.map((pieces) => ({ pieces, hash: createHash('sha256') }));
  const own: readonly Open[] = [
    ...rangeHashes,
    ...partHashes.flatMap(({ pieces, hash }) => pieces.map((piece) => ({ ...piece, hash }))),
  ].sort((a, b) => a.start - b.start);
  /** Where other digests begin to take the bytes. */
  const edges = [...own, ...ranges].flatMap(({ start, end }) => [start, end]).sort((a, b) => a - b);
  const checkpoints: string[] = [];
  let [hole, edge, next, untold] = [0, 0, 0, 0];
  let open: Open[] = [];
  for (let at = 0; at < size;) {
    while (edge < edges.length && edges[edge]! <= at) edge++;
    open = open.filter(({ end }) => end > at);
    for (; next < own.length && own[next]!.start <= at; next++) if (own[next]!.end > at) open.push(own[next]!);
    while (hole < zeros.length && zeros[hole]!.end <= at) hole++;
    const zero = zeros[hole] ?? { start: size, end: size };
    const most = Math.min(buffer.length, step - (at % step), (edges[edge] ?? size) - at, size - at);
    let bytes: Buffer;
    if (zero.start <= at) {
      bytes = nothing.subarray(0, Math.min(most, zero.end - at));
    } else {
      const stop = Math.min(at + most, zero.start);
      const ready = written ? Math.min(stop, wait(written, at, stop)) : stop;
      const read = readSync(file, buffer, 0, ready - at, at);
      if (read === 0) throw new Error(`${path} ends at ${at} while it is read`);
      bytes = read === buffer.length ? buffer : buffer.subarray(0, read);
    }
    whole.update(bytes);
    for (const { hash } of open) hash.update(bytes);
    at += bytes.length;
    if (at % step === 0) checkpoints.push(whole.copy().digest('hex'));
    if (at === first?.end) firstDigest = whole.copy().digest('hex');
    untold += bytes.length;
    if (untold < TOLD) continue;
    parentPort!.postMessage({ bytes: untold } satisfies DigestMessage);
    untold = 0;
  }
  closeSync(file);
  return {
    bytes: untold,
    result: {
      whole: whole.digest('hex'),
      ranges: [...(first ? [firstDigest] : []), ...rangeHashes.map(({ hash }) => hash.digest('hex'))],
      parts: partHashes.map(({ hash }) => hash.digest('hex')),
      checkpoints,
    },
  };
}

parentPort!.postMessage(run(job));
