import {
  UserError,
  type ContentSource,
  type Digest,
  type LaidOutContent,
  type ScatterOptions,
  type ScatterTarget,
} from '@boxship/model';
import { blameBlob, blobCompression, layerName, openBlob, readLayerBlob, readLayerTar, wrongDigest, type LayerBlob } from './blob-reader.ts'; // prettier-ignore
import { declaredCompression } from './compression.ts';
import { canInflateInPlace } from './inflate-in-place.ts';
import { scatterInThread } from './scatter-in-thread.ts';

/** A thread costs about as much as inflating 8 MiB: smaller blobs are inflated where they are wanted. */
const THREAD_SIZE = 4 * 1024 * 1024;

/** What is known of a tar that was read once. */
export interface TarFacts {
  /** Bytes. */
  readonly tarSize: number;
  readonly laidOut?: LaidOutContent | undefined;
}

/**
 * The uncompressed tar of a layer, `tarSize` bytes long. Each `open` reads the blob and verifies its digest; it fails before
 * the first chunk when the blob has another size, and as soon as more comes out than `tarSize`. That the blob unpacks to
 * `diffId` was proven when its inventory was taken; since the same blob always unpacks to the same bytes, it is not hashed
 * a second time. A chunk is valid until the next one is asked for. Errors: those of `readLayerTar`.
 */
export function layerContent(layer: LayerBlob, { tarSize, laidOut }: TarFacts): ContentSource {
  const source: ContentSource = {
    id: layer.diffId,
    size: tarSize,
    laidOut,
    open: (signal) => readLayerTar(layer, { limit: tarSize, signal, verify: 'blob' }),
  };
  // zstd is inflated by JavaScript, which has no thread of its own
  const { blob, diffId } = layer;
  const isZlibOrPlain = blob.digest === diffId || declaredCompression(blob.mediaType) === 'gzip';
  if (blob.size < THREAD_SIZE || !isZlibOrPlain || !canInflateInPlace()) return source;
  return { ...source, scatter: (targets, options) => scatterLayer(layer, tarSize, targets, options) };
}

async function scatterLayer(
  layer: LayerBlob,
  tarSize: number,
  targets: readonly ScatterTarget[],
  options: ScatterOptions,
): Promise<void> {
  const { blob, blobPath } = layer;
  const handle = await openBlob(layer);
  const gzip = await blobCompression(layer, handle).then((found) => found === 'gzip').finally(() => handle.close()); // prettier-ignore
  const { sha256, total, contents } = await scatterInThread(
    { path: blobPath, gzip, limit: tarSize },
    targets,
    options,
  ).catch(async (error: NodeJS.ErrnoException) => {
    const isOfTarget = targets.some(({ path }) => path === error.path);
    throw options.signal?.aborted || isOfTarget ? error : await blameBlob(layer, error);
  });
  const digest: Digest = `sha256:${sha256}`;
  if (digest !== blob.digest) throw wrongDigest(layer, digest);
  if (total !== tarSize) {
    throw new UserError(
      'CONTENT_TOO_SHORT',
      `${layerName(layer)} ended after ${total} bytes, its inventory says ${tarSize}`,
      'The cache is damaged: remove it, and run "boxship lock" again.',
    );
  }
  for (const [index, content] of contents.entries()) if (content) targets[index]!.onContent?.(content);
}

/** The blob of a layer as it is, compressed. Errors: those of `readLayerBlob`. */
export function blobContent(layer: LayerBlob): ContentSource {
  return {
    id: layer.blob.digest,
    size: layer.blob.size,
    open: (signal) => readLayerBlob(layer, signal),
  };
}
