import type { ContentWriter } from '@boxship/filesystem';
import type { ContentSource, ScatterOptions, ScatterTarget } from '@boxship/model';

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
}

/** Gives targets the bytes of a source that scatters them. */
export type Scatter = (
  source: ContentSource,
  targets: readonly ScatterTarget[],
  options: ScatterOptions,
) => Promise<void>;

export const scatterAsItIs: Scatter = (source, targets, options) => source.scatter!(targets, options);

/** Layers are inflated on as many cores as machines commonly spare; more cost memory and gain nothing on two. */
const PARALLEL = 2;
/** Sources from here on are streams from the cache; smaller ones are mostly bytes at hand. */
const LARGE = 1024 * 1024;

/**
 * Reads every source once and gives each of its bytes to all who want them: in the order given, which is that of their
 * places on the disk, so that who reads behind the writers can start early; two at a time. A failure stops all of it.
 */
export async function pumpContents(
  consumers: readonly Consumer[],
  { onBytes, signal, scatter = scatterAsItIs }: PumpOptions,
): Promise<void> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const queue = [...consumers];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await pump(next, { onBytes, signal: either, scatter });
  };
  const large = consumers.filter(({ source }) => source.size >= LARGE).length;
  const workers = Array.from({ length: Math.max(1, Math.min(PARALLEL, large)) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers); // nobody may write to a file that the caller closes
    throw error;
  }
}

async function pump({ source, writers, targets }: Consumer, { onBytes, signal, scatter }: Required<PumpOptions>) {
  if (source.scatter && targets) return await scatter(source, targets, { onBytes, signal });
  for await (const chunk of source.open(signal)) {
    signal.throwIfAborted();
    for (const writer of writers) await writer.write(chunk);
    onBytes(chunk.length);
  }
  for (const writer of writers) await writer.end();
}
