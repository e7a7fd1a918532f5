import { availableParallelism } from 'node:os';
import type { ContentWriter } from '@boxship/filesystem';
import { MiB, type ContentSource, type ScatterOptions, type ScatterTarget } from '@boxship/model';

/** A source and everybody who wants its bytes. */
export interface Consumer {
  readonly source: ContentSource;
  readonly writers: readonly ContentWriter[];
  /** Of a source that scatters its bytes itself; it has no writers then. */
  readonly targets?: readonly ScatterTarget[];
}

export interface PumpOptions {
  /** Bytes read from sources since the last call. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** Default: as they do it themselves. */
  readonly scatter?: Scatter;
  /** Part of the scattered bytes that a second thread takes from the end; default: none with less than four cores, or half. */
  readonly ahead?: number;
}

/** Gives targets the bytes of a source that scatters them. */
export type Scatter = (
  source: ContentSource,
  targets: readonly ScatterTarget[],
  options: ScatterOptions,
) => Promise<void>;

export const scatterAsItIs: Scatter = (source, targets, options) => source.scatter!(targets, options);

/**
 * Of the bytes that threads scatter, the part that a second one takes from the end: who digests the image has to read that from the
 * disk, and what the first one scatters, in its order, is found in memory. With two or three cores the others digest meanwhile.
 */
const AHEAD = availableParallelism() < 4 ? 0 : 0.5;
/** Sources that this thread reads at the same time: one waits for the disk while another one is inflated. */
const READ = 2;
/** Bytes of a source that takes this thread so long that others had better not wait for who digests it. */
const LONG = 128 * MiB;

/**
 * Reads every source once and gives each of its bytes to all who want them: in the order given, which is that of their
 * places on the disk, so that who reads behind the writers finds them in memory. Beside those that threads scatter go those that come
 * by way of this thread. A failure stops all of it.
 */
export async function pumpContents(
  consumers: readonly Consumer[],
  { onBytes, signal, scatter = scatterAsItIs, ahead = AHEAD }: PumpOptions,
): Promise<void> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const isScattered = ({ source, targets }: Consumer) => source.scatter !== undefined && targets !== undefined;
  const pumpNow = (consumer: Consumer) => pump(consumer, { onBytes, signal: either, scatter });
  const others = consumers.filter((consumer) => !isScattered(consumer));
  const mayWait = others.every(({ source }) => source.size < LONG);
  const queue = [...others];
  const scattered = consumers.filter(isScattered);
  let left = ahead * scattered.reduce((sum, { source }) => sum + source.size, 0);
  const workers = [
    ...Array.from({ length: READ }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await pumpNow(next);
    }),
    (async () => {
      for (let next = scattered.shift(); next; next = scattered.shift()) {
        await pumpNow(mayWait ? next : withoutHandOver(next));
      }
    })(),
    (async () => {
      for (let last = scattered.at(-1); last && last.source.size <= left; last = scattered.at(-1)) {
        scattered.pop();
        left -= last.source.size;
        await pumpNow(withoutHandOver(last));
      }
    })(),
  ];
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers); // nobody may write to a file that the caller closes
    throw error;
  }
}

/** For a thread that does not wait for who reads behind it. */
function withoutHandOver({ targets, ...consumer }: Consumer): Consumer {
  return { ...consumer, targets: targets!.map((target) => ({ ...target, handOver: undefined })) };
}

async function pump(
  { source, writers, targets }: Consumer,
  { onBytes, signal, scatter }: Required<Omit<PumpOptions, 'ahead'>>,
) {
  if (source.scatter && targets) return await scatter(source, targets, { onBytes, signal });
  for await (const chunk of source.open(signal)) {
    signal.throwIfAborted();
    for (const writer of writers) await writer.write(chunk);
    onBytes(chunk.length);
  }
  for (const writer of writers) await writer.end();
}
