import { MessageChannel, type TransferListItem } from 'node:worker_threads';
import { readAhead } from '@boxship/host';
import type { ByteRange, ScatterOptions, ScatterTarget } from '@boxship/model';
import { BATCHES_SENT, count, type ScatterBatch, type ScatterJob, type ScatterMessage } from './scatter-job.ts';
import { startInflating } from './start-inflating.ts';
import { takeThread } from './layer-threads.ts';

export interface ScatterResult {
  /** SHA-256 of what was read, hex. */
  readonly sha256: string;
  /** Bytes that came out. */
  readonly total: number;
  /** SHA-256 (hex) of what each target got; absent where that was not asked for. */
  readonly contents: readonly (string | undefined)[];
}

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

/**
 * Inflates a file in a thread of its own, and has another one write each piece to its place. Resolves when all is written.
 * Errors: those of the file systems with their paths; a plain Error when the file holds more than `limit`, or is damaged so that it
 * cannot be inflated. Other damage shows in the SHA-256 alone, which the caller must compare.
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
  const { port1: feeder, port2: taker } = new MessageChannel();
  const inflating = gzip && !ranges ? startInflating(path) : undefined;
  const job: ScatterJob = {
    ...{ path, ranges, gzip, limit, control, batches: taker, inflated: inflating?.inflated },
    targets: targets.map(
      ({ descriptor, path, start, directWay, handOver, pieces: { lowest, ascending, run } }, index) => ({
        ...{ descriptor, path, start, directWay, handOver, ascending, isRun: run !== undefined },
        ...{ lowest: start + lowest, digested: digested[index] === index },
      }),
    ),
  };
  const batches = targets.map(({ pieces }) => pieces.batches()[Symbol.iterator]());
  const feed = (index: number) => {
    const next = batches[index]!.next();
    const message: ScatterBatch = next.done ? { index } : { index, batch: next.value };
    feeder.postMessage(message, next.done ? [] : [next.value.buffer]);
    count(control, BATCHES_SENT);
  };
  const { worker, giveBack, end } = takeThread('scattering');
  // what comes out is what was read
  const ahead = gzip || ranges ? undefined : readAhead(path);
  let total = 0;
  let leave = () => {};
  let isDone = false;
  try {
    const result = await new Promise<ScatterResult>((resolve, reject) => {
      const abort = () => reject(signal!.reason as Error);
      const onExit = (code: number) => reject(new Error(`the inflating thread ended with ${code}`));
      const onMessage = ({ taken, bytes, progress, result, failure }: ScatterMessage) => {
        try {
          if (taken !== undefined) feed(taken);
          if (bytes !== undefined) {
            onBytes(bytes);
            ahead?.passed((total += bytes));
          }
          progress?.forEach(({ written, pending }, index) => targets[index]!.onWritten(written, pending));
        } catch (error) {
          reject(error as Error);
        }
        if (failure) reject(Object.assign(new Error(failure.message), failure));
        if (!result) return;
        resolve({
          sha256: result.sha256 ?? '',
          total: result.total,
          contents: digested.map((first, index) => known[index] ?? result.contents[first]),
        });
      };
      signal?.addEventListener('abort', abort, { once: true });
      worker.on('error', reject).on('exit', onExit).on('message', onMessage);
      leave = () => {
        signal?.removeEventListener('abort', abort); // it would hold the layout of a whole image until the program ends
        worker.off('error', reject).off('exit', onExit).off('message', onMessage);
      };
      inflating?.sha256.catch(reject);
      worker.postMessage(job, [taker as unknown as TransferListItem]);
      for (let ahead = 0; ahead < AHEAD; ahead++) for (const index of targets.keys()) feed(index);
    });
    const sha256 = (await inflating?.sha256) ?? result.sha256;
    isDone = true;
    return { ...result, sha256 };
  } finally {
    leave();
    if (isDone) giveBack();
    else await end(); // nobody may write to a file that the caller closes
    await inflating?.end();
    await ahead?.[Symbol.asyncDispose]();
    feeder.close();
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
