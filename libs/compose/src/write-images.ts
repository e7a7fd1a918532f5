import { join } from 'node:path';
import type { ImageDigests } from '@boxship/disk';
import { editExt4, type ContentWriter } from '@boxship/filesystem';
import { copiedRanges, digestWhileWritten, openRawImage, rawImageName, type RawImageWriter } from '@boxship/formats';
import { makeFolder, type Progress } from '@boxship/host';
import type { ContentSource, ScatterTarget } from '@boxship/model';
import { pumpContents, type Consumer } from './content-pump.ts';
import type { PreparedVariant } from './prepare-variant.ts';

/** A variant to write, and where. */
export interface VariantWork {
  readonly prepared: PreparedVariant;
  readonly folder: string;
  /** Beside `folder`, until it is whole. */
  readonly staging: string;
}

/** The plain image of a variant, on the disk and digested. */
export interface WrittenImage {
  readonly path: string;
  readonly digests: ImageDigests;
}

/** Writes the plain images of all variants in one pass over the layers. */
export async function writeImages(
  progress: Progress,
  works: readonly VariantWork[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<VariantWork, WrittenImage>> {
  const images = new Map<VariantWork, RawImageWriter>();
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
  const digests = new Map<VariantWork, Promise<ImageDigests>>();
  try {
    for (const work of works) {
      await makeFolder(work.staging);
      const { variant, image } = work.prepared;
      images.set(work, await openRawImage(join(work.staging, rawImageName(variant)), image));
    }
    const consumers = consumersOf([...images.values()], works);
    for (const [work, image] of images) {
      const digest = digestWhileWritten(image, work.prepared.image, either);
      digest.catch((error: unknown) => stop.abort(error)); // told by those who stop, or where it is waited for
      digests.set(work, digest);
      jobs.push(image.writeFrame({ onBytes, edit: (path) => editRootfs(path, work.prepared) }));
    }
    jobs.push(pumpContents(consumers, { onBytes, signal: either }));
    await Promise.all(jobs);
    const ends = [...images].map(async ([work, image]): Promise<[VariantWork, WrittenImage]> => {
      const [found] = await Promise.all([digests.get(work)!, image.finish()]);
      return [work, { path: image.path, digests: found }];
    });
    jobs.push(...ends);
    return new Map(await Promise.all(ends));
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled([...jobs, ...digests.values()]); // nobody may use a file that is closed
    for (const image of images.values()) await image.abandon();
    throw error;
  } finally {
    step.end();
  }
}

async function editRootfs(path: string, { socket, rootfs, variant }: PreparedVariant): Promise<void> {
  if (socket.entries.length > 0) await editExt4(path, rootfs.start, socket.entries, { epoch: variant.epoch });
}

/** Who wants which source, over all variants: equal ids are one read. */
function consumersOf(images: readonly RawImageWriter[], works: readonly VariantWork[]): readonly Consumer[] {
  const sources = new Map<string, ContentSource>();
  for (const { prepared } of works) {
    for (const { plan } of prepared.image.filesystems)
      for (const source of plan.sources()) sources.set(source.id, source);
  }
  return [...sources.values()].map((source) =>
    source.scatter
      ? {
          source,
          writers: [],
          targets: images.flatMap((image): readonly ScatterTarget[] => image.scatterTargets(source)),
        }
      : { source, writers: images.flatMap((image): readonly ContentWriter[] => image.contentWriters(source)) },
  );
}

/** Bytes that will be read from the base and from sources: what progress counts. */
function workload({ image }: PreparedVariant): number {
  const copied = copiedRanges(image).reduce((sum, { start, end }) => sum + end - start, 0);
  return copied + image.filesystems.flatMap(({ plan }) => plan.sources()).reduce((sum, { size }) => sum + size, 0);
}
