import type { ByteRange, ContentRun, ScatterOptions, ScatterTarget } from '@boxship/model';
import { PIECE_NUMBERS } from '@boxship/model';
import { scatterInThread } from './scatter-in-thread.ts';

/** A file that holds, or held, what targets want. */
export interface EarlierCopy {
  readonly path: string;
  /** Where in it, one after another. Bytes. */
  readonly ranges: readonly ByteRange[];
  /** SHA-256 (hex) that all of it must have. */
  readonly sha256: string;
}

/**
 * Copies ranges of a file to targets whose pieces are a run, digesting what it copies. Gives false when that is not what it
 * should be, or cannot be read: the targets then hold nothing of use, and were told so.
 * Errors: those of the targets, with their paths.
 */
export async function copyInThread(
  { path, ranges, sha256 }: EarlierCopy,
  targets: readonly ScatterTarget[],
  { signal }: Pick<ScatterOptions, 'signal'>,
): Promise<boolean> {
  const length = lengthOf(ranges);
  const runs = targets.map(({ pieces }) => pieces.run);
  if (!runs.every((run): run is ContentRun => run !== undefined && lengthOf(run.ranges) === length)) return false;
  const copies = targets.map(
    ({ descriptor, path, start, directWay, handOver, onWritten, pieces: { lowest } }, index): ScatterTarget => ({
      ...{ descriptor, path, start, directWay, handOver },
      pieces: { lowest, ascending: true, run: runs[index]!, batches: () => [piecesOf(runs[index]!.ranges)] },
      onWritten,
    }),
  );
  let found: string;
  try {
    const input = { path, ranges, gzip: false, limit: length };
    found = (await scatterInThread(input, copies, { onBytes: () => {}, signal })).sha256;
  } catch (error) {
    const isOfTarget = targets.some((target) => target.path === (error as NodeJS.ErrnoException).path);
    if (signal?.aborted || isOfTarget) throw error;
    found = '';
  }
  for (const { onRewritten, onContent } of targets) {
    if (found === sha256) onContent?.(sha256);
    else onRewritten?.();
  }
  return found === sha256;
}

/** The ranges as pieces of a stream that is all of them, one after another. */
function piecesOf(ranges: readonly ByteRange[]): Float64Array<ArrayBuffer> {
  const batch = new Float64Array(ranges.length * PIECE_NUMBERS);
  let offset = 0;
  for (const [index, { start, end }] of ranges.entries()) {
    batch.set([offset, end - start, start, 0], index * PIECE_NUMBERS);
    offset += end - start;
  }
  return batch;
}

function lengthOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
