import { Worker } from 'node:worker_threads';
import { createGunzip } from 'node:zlib';
import type { ByteRange, ScatterOptions, ScatterTarget } from '@boxship/model';
import type { ScatterBatch, ScatterJob, ScatterMessage } from './scatter-thread.ts';
import thread from './scatter-thread.ts?thread';

export type ScatterResult = NonNullable<ScatterMessage['result']>;

export interface ScatterInput {
  readonly path: string;
  /** What of the file is read, one after another; all of it when absent. Bytes. */
  readonly ranges?: readonly ByteRange[];
  /** The file is gzip of any number of members; bytes that follow the last one are not looked at. */
  readonly gzip: boolean;
  /** Most bytes that may come out. */
  readonly limit: number;
}

/** Batches that lie ready for a target. */
const AHEAD = 2;

/** Whether this Node's zlib can inflate without a stream: the way that npm's own minizlib goes, which nobody promises. */
export function canInflateInPlace(): boolean {
  const stream = createGunzip() as unknown as { _handle?: { writeSync?: unknown }; _writeState?: unknown };
  return typeof stream._handle?.writeSync === 'function' && stream._writeState instanceof Uint32Array;
}

/**
 * Inflates a file in a thread of its own, which writes each piece to its place. Resolves when all is written.
 * Errors: those of the file systems with their paths; a plain Error when the file is damaged or holds more than `limit`.
 */
export async function scatterInThread(
  { path, ranges, gzip, limit }: ScatterInput,
  targets: readonly ScatterTarget[],
  { onBytes, signal }: ScatterOptions,
): Promise<ScatterResult> {
  signal?.throwIfAborted();
  const control = new Int32Array(new SharedArrayBuffer(4));
  const digested = firstOfEqual(targets);
  const known = targets.map(({ content }) => content);
  const workerData: ScatterJob = {
    ...{ path, ranges, gzip, limit, control },
    targets: targets.map(({ descriptor, path, start, directWay, pieces: { lowest, ascending } }, index) => ({
      ...{ descriptor, path, start, directWay, ascending },
      ...{ lowest: start + lowest, digested: digested[index] === index },
    })),
  };
  const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
  const worker = new Worker(thread, { eval: true, workerData, execArgv: [], resourceLimits });
  const batches = targets.map(({ pieces }) => pieces.batches()[Symbol.iterator]());
  const feed = (index: number) => {
    const next = batches[index]!.next();
    const message: ScatterBatch = next.done ? { index } : { index, batch: next.value };
    worker.postMessage(message, next.done ? [] : [next.value.buffer]);
    Atomics.add(control, 0, 1);
    Atomics.notify(control, 0);
  };
  let abort = () => {};
  try {
    return await new Promise<ScatterResult>((resolve, reject) => {
      abort = () => reject(signal!.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`the inflating thread ended with ${code}`)));
      worker.on('message', ({ taken, bytes, progress, result, failure }: ScatterMessage) => {
        try {
          if (taken !== undefined) feed(taken);
          if (bytes !== undefined) onBytes(bytes);
          progress?.forEach(({ written, pending }, index) => targets[index]!.onWritten(written, pending));
        } catch (error) {
          reject(error as Error);
        }
        if (failure) reject(Object.assign(new Error(failure.message), failure));
        if (result)
          resolve({ ...result, contents: digested.map((first, index) => known[index] ?? result.contents[first]) });
      });
      for (let ahead = 0; ahead < AHEAD; ahead++) for (const index of targets.keys()) feed(index);
    });
  } finally {
    signal?.removeEventListener('abort', abort); // it would hold the layout of a whole image until the program ends
    await worker.terminate(); // nobody may write to a file that the caller closes
  }
}

/** For each target the first that gets the same bytes in the same order: one digest is that of all. -1 where nobody asks. */
function firstOfEqual(targets: readonly ScatterTarget[]): readonly number[] {
  const firsts = new Map<string, number>();
  return targets.map(({ pieces: { run }, onContent, content }, index) => {
    if (!run || !onContent || content !== undefined) return -1;
    if (!firsts.has(run.sequence)) firsts.set(run.sequence, index);
    return firsts.get(run.sequence)!;
  });
}
