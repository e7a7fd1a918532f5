import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { UserError, type Descriptor, type Digest } from '@boxship/model';
import { layerCompression, type LayerCompression } from './compression.ts';
import { decompress } from './decompress.ts';

/** A layer as a file: the blob as its manifest describes it, and the digest of the tar inside. */
export interface LayerBlob {
  readonly blobPath: string;
  readonly blob: Descriptor;
  readonly diffId: Digest;
}

const READ_CHUNK = 256 * 1024;

/** How errors call a layer. */
export function layerName({ blob }: LayerBlob): string {
  return `layer ${blob.digest}`;
}

export interface ReadOptions {
  /** Most bytes that may come out. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
  /** `both` (the default): blob digest and diff_id; `blob`: the blob's digest, where the diff_id follows from it. */
  readonly verify?: 'both' | 'blob';
}

/**
 * The uncompressed tar of a layer. Blob size is checked before the first byte, blob digest and diff_id after the last.
 * A chunk is valid until the next one is asked for.
 * Errors: BLOB_MISSING, TRUNCATED_BLOB, WRONG_SIZE, WRONG_DIGEST, WRONG_DIFF_ID, BAD_COMPRESSION, LAYER_TOO_LARGE,
 * UNSUPPORTED_LAYER, COMPRESSION_MISMATCH. A damaged blob is told as such, not as what its damage looks like.
 */
export async function* readLayerTar(
  layer: LayerBlob,
  options: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { blob, diffId } = layer;
  const { signal } = options;
  const name = layerName(layer);
  const handle = await openBlob(layer);
  try {
    const compression = await blobCompression(layer, handle);
    const blobHash = createHash('sha256');
    const tarHash = createHash('sha256');
    const compressed = compression !== 'none';
    const hashTar = options.verify !== 'blob' || !compressed;
    try {
      for await (const chunk of decompress(readBlob(), compression, { name, limit: options.limit })) {
        signal?.throwIfAborted();
        if (hashTar) tarHash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      throw signal?.aborted ? error : await blameBlob(layer, error);
    }
    const tarDigest: Digest = `sha256:${tarHash.digest('hex')}`;
    const blobDigest: Digest = compressed ? `sha256:${blobHash.digest('hex')}` : tarDigest;
    if (blobDigest !== blob.digest) throw wrongDigest(layer, blobDigest);
    if (hashTar && tarDigest !== diffId) {
      throw new UserError(
        'WRONG_DIFF_ID',
        `${name} unpacks to ${tarDigest}, the image configuration says ${diffId}`,
        'The image contradicts itself; build it again, or take it from where it was first pushed.',
      );
    }

    async function* readBlob() {
      for await (const chunk of readChunks(handle, blob.size)) {
        signal?.throwIfAborted();
        if (compressed) blobHash.update(chunk);
        yield chunk;
      }
    }
  } finally {
    await handle.close();
  }
}

/** How the blob is compressed, by its first bytes. Errors: UNSUPPORTED_LAYER, COMPRESSION_MISMATCH. */
export async function blobCompression(layer: LayerBlob, handle: FileHandle): Promise<LayerCompression> {
  // equal digests can only mean that nothing is compressed, whatever the first file's name looks like
  if (layer.blob.digest === layer.diffId) return 'none';
  const head = Buffer.alloc(18);
  await handle.read(head, 0, head.length, 0);
  return layerCompression(layer.blob.mediaType, head, layerName(layer));
}

/**
 * The blob as it is, compressed. Its size is checked before the first byte, its digest after the last. A chunk is valid
 * until the next one is asked for. Errors: BLOB_MISSING, TRUNCATED_BLOB, WRONG_SIZE, WRONG_DIGEST.
 */
export async function* readLayerBlob(layer: LayerBlob, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const handle = await openBlob(layer);
  try {
    const hash = createHash('sha256');
    for await (const chunk of readChunks(handle, layer.blob.size)) {
      signal?.throwIfAborted();
      hash.update(chunk);
      yield chunk;
    }
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    if (digest !== layer.blob.digest) throw wrongDigest(layer, digest);
  } finally {
    await handle.close();
  }
}

/**
 * The error to show when something was wrong inside a layer: that its blob is damaged, if it is, else `error` itself.
 * Reads the blob again, which only happens once in a run.
 */
export async function blameBlob(layer: LayerBlob, error: unknown): Promise<unknown> {
  const codes = ['WRONG_DIGEST', 'WRONG_DIFF_ID', 'TRUNCATED_BLOB', 'WRONG_SIZE', 'BLOB_MISSING'];
  if (error instanceof UserError && codes.includes(error.code)) return error;
  const handle = await openBlob(layer);
  try {
    const hash = createHash('sha256');
    for await (const chunk of readChunks(handle, layer.blob.size)) hash.update(chunk);
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    return digest === layer.blob.digest ? error : wrongDigest(layer, digest);
  } finally {
    await handle.close();
  }
}

export function wrongDigest({ blobPath, blob }: LayerBlob, actual: Digest): UserError {
  return new UserError(
    'WRONG_DIGEST',
    `layer ${blob.digest} has the digest ${actual}`,
    `The copy is damaged; remove it and fetch the image again.`,
    { file: blobPath },
  );
}

/** Opens a blob of the size that its manifest says. Errors: BLOB_MISSING, TRUNCATED_BLOB, WRONG_SIZE. */
export async function openBlob({ blobPath, blob }: LayerBlob): Promise<FileHandle> {
  const handle = await open(blobPath).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('BLOB_MISSING', `layer ${blob.digest} is not there`, 'Run "boxship lock" to fetch it.', {
      file: blobPath,
    });
  });
  const { size } = await handle.stat();
  if (size === blob.size) return handle;
  await handle.close();
  throw new UserError(
    size < blob.size ? 'TRUNCATED_BLOB' : 'WRONG_SIZE',
    `layer ${blob.digest} has ${size} bytes, its manifest says ${blob.size}`,
    'The copy is damaged; remove it and fetch the image again.',
    { file: blobPath },
  );
}

/** Reads ahead by one chunk; a chunk is valid until the next one is asked for. */
async function* readChunks(handle: FileHandle, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [Buffer.allocUnsafe(READ_CHUNK), Buffer.allocUnsafe(READ_CHUNK)] as const;
  const read = (turn: number, at: number) => handle.read(buffers[turn & 1]!, 0, Math.min(READ_CHUNK, size - at), at);
  let next = size > 0 ? read(0, 0) : undefined;
  try {
    for (let turn = 0, at = 0; at < size; turn++) {
      const { bytesRead } = await next!;
      if (bytesRead === 0) throw new Error(`the blob became shorter while it was read: ${at} of ${size} bytes`);
      at += bytesRead;
      next = at < size ? read(turn + 1, at) : undefined;
      yield buffers[turn & 1]!.subarray(0, bytesRead);
    }
  } finally {
    await next?.catch(() => {}); // nothing may read into the buffer after the handle is closed
  }
}
