import type { ContentWriter } from '@boxship/filesystem';
import type { ArtifactSink } from '@boxship/formats';
import { makeFolder, type Progress } from '@boxship/host';
import { endIdleThreads } from '@boxship/image-layers';
import type { ContentSource, ScatterTarget } from '@boxship/model';
import { mergeOrders } from './merge-orders.ts';
import { pumpContents, type Consumer, type Scatter } from './content-pump.ts';
import type { PreparedRelease } from './prepare-variant.ts';

/** A variant to write, and where. */
export interface VariantWork {
  readonly prepared: PreparedRelease;
  readonly folder: string;
  /** Beside `folder`, until it is whole. */
  readonly staging: string;
}

/** Writes the artifacts of all variants in one pass over the layers; what is made of whole files is left to their `finish`. */
export async function writeArtifacts(
  progress: Progress,
  works: readonly VariantWork[],
  { signal, scatter }: { readonly signal: AbortSignal | undefined; readonly scatter: Scatter },
): Promise<ReadonlyMap<VariantWork, readonly ArtifactSink[]>> {
  const opened: { readonly work: VariantWork; readonly sink: ArtifactSink }[] = [];
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const step = progress.start(
    'composing',
    works.reduce((sum, { prepared }) => sum + workload(prepared), 0),
  );
  const onBytes = (bytes: number) => {
    either.throwIfAborted(); // one that fails stops all others: a full disk is told at once
    step.advance(bytes);
  };
  const jobs: Promise<unknown>[] = [];
  const imagesAtOnce = works.reduce((sum, { prepared }) => sum + prepared.artifacts.length, 0);
  try {
    for (const work of works) {
      await makeFolder(work.staging);
      for (const artifact of work.prepared.artifacts) {
        const onFailure = (error: unknown) => stop.abort(error);
        opened.push({ work, sink: await artifact.open(work.staging, { signal: either, onFailure, imagesAtOnce }) });
      }
    }
    const sinks = opened.map(({ sink }) => sink);
    const consumers = consumersOf(sinks, works);
    for (const sink of sinks) jobs.push(sink.writeFrame(onBytes));
    jobs.push(pumpContents(consumers, { onBytes, signal: either, scatter }));
    await Promise.all(jobs);
    await endIdleThreads();
    const ends = sinks.map((sink) => sink.settle());
    jobs.push(...ends);
    await Promise.all(ends);
    return new Map(works.map((work) => [work, opened.filter((one) => one.work === work).map(({ sink }) => sink)]));
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(jobs); // nobody may use a file that is closed
    for (const { sink } of opened) await sink.abandon();
    throw error;
  } finally {
    step.end();
  }
}

/** Who wants which source, over all variants and formats: equal ids are one read. */
function consumersOf(sinks: readonly ArtifactSink[], works: readonly VariantWork[]): readonly Consumer[] {
  const sources = new Map<string, ContentSource>();
  const orders: string[][] = [];
  for (const { prepared } of works) {
    for (const artifact of prepared.artifacts) {
      for (const source of artifact.sources) sources.set(source.id, source);
      orders.push(artifact.sources.map(({ id }) => id));
    }
  }
  // who reads an image behind its writers finds what it needs next
  const inOrder = mergeOrders(orders).map((id) => sources.get(id)!);
  return inOrder.map((source) =>
    source.scatter
      ? { source, writers: [], targets: sinks.flatMap((sink): readonly ScatterTarget[] => sink.scatterTargets(source)) }
      : { source, writers: sinks.flatMap((sink): readonly ContentWriter[] => sink.contentWriters(source)) },
  );
}

/** Bytes that will be read from the base and from sources: what progress counts. */
function workload({ artifacts }: PreparedRelease): number {
  return artifacts.reduce(
    (sum, { vendorBytes, sources }) => sources.reduce((more, { size }) => more + size, sum + vendorBytes),
    0,
  );
}
