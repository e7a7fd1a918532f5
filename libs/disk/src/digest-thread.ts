import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { ByteRange } from '@boxship/model';
import { followFile, type FollowedFile } from './follow-file.ts';

/** What the thread of `digestImage` is started with. */
export interface DigestJob {
  readonly file: FollowedFile;
  readonly ranges: readonly ByteRange[];
  readonly parts: readonly (readonly ByteRange[])[];
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

const TOLD = 16 * 1024 * 1024;

/**
 * Reads the file once. A range that starts at 0 costs nothing: its digest is that of the whole so far. Only the first can: they
 * ascend and are apart.
 */
async function run({ file, ranges, parts, step }: DigestJob): Promise<DigestMessage> {
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
  let [at, edge, next, untold] = [0, 0, 0, 0];
  let open: Open[] = [];
  for await (const chunk of followFile(file)) {
    for (let taken = 0; taken < chunk.length;) {
      while (edge < edges.length && edges[edge]! <= at) edge++;
      open = open.filter(({ end }) => end > at);
      for (; next < own.length && own[next]!.start <= at; next++) if (own[next]!.end > at) open.push(own[next]!);
      const length = Math.min(chunk.length - taken, step - (at % step), (edges[edge] ?? file.size) - at);
      const bytes = length === chunk.length ? chunk : chunk.subarray(taken, taken + length);
      whole.update(bytes);
      for (const { hash } of open) hash.update(bytes);
      taken += length;
      at += length;
      if (at % step === 0) checkpoints.push(whole.copy().digest('hex'));
      if (at === first?.end) firstDigest = whole.copy().digest('hex');
    }
    untold += chunk.length;
    if (untold < TOLD) continue;
    parentPort!.postMessage({ bytes: untold } satisfies DigestMessage);
    untold = 0;
  }
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

// a failure ends the thread, and is told as its 'error'
void run(workerData as DigestJob).then((message) => parentPort!.postMessage(message));
