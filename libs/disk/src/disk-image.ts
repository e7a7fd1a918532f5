import { open, type FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { openFileReader, silent, type Cache, type Progress, type ProgressStep } from '@boxship/host';
import { digestHex, UserError, type Digest, type RandomReader } from '@boxship/model';
import { decompressAndroidSparse } from './decompress-android-sparse.ts';
import { byteSource, CutShort, Damaged } from './byte-source.ts';
import { decompressBzip2 } from './decompress-bzip2.ts';
import { decompressXz } from './decompress-xz.ts';
import { decompressZstd } from './decompress-zstd.ts';
import { hashFile } from './hash-file.ts';
import { sparseStream } from './sparse-file.ts';

/** `simg` is Android's sparse format: no compression, but a form that has to be unfolded like one. */
export type Compression = 'none' | 'gz' | 'xz' | 'zst' | 'bz2' | 'simg';

/** A base image that can be read at any position. Close it when done (`Symbol.asyncDispose` does, too). */
export interface DiskImage extends RandomReader, AsyncDisposable {
  /** The plain bytes: the file as given, or what it holds, sparse, in the cache. Not to be written. */
  readonly path: string;
  /** The file as given. */
  readonly source: { readonly path: string; readonly size: number; readonly compression: Compression };
  /** SHA-256 of the file as given; known for a compressed one, read and kept at the first call for a plain one. */
  digest(): Promise<Digest>;
  close(): Promise<void>;
}

export interface OpenDiskImageOptions {
  readonly cache: Cache;
  readonly progress?: Progress;
  /** Digest of a file; by default the file is read. A caller that keeps digests by size, mtime and inode answers here. */
  readonly digestOf?: (path: string) => Promise<Digest>;
}

/** First bytes of each compression: RFC 1952 2.3.1, .xz 2.1.1.1, RFC 8878 3.1.1, bzip2 ("BZh"), libsparse's sparse_format.h. */
const MAGICS: readonly (readonly [Exclude<Compression, 'none'>, string])[] = [
  ['gz', '1f8b08'],
  ['xz', 'fd377a585a00'],
  ['zst', '28b52ffd'],
  ['bz2', '425a68'],
  ['simg', '3aff26ed'],
];

type Decompress = (
  handle: FileHandle,
  size: number,
  sink: (bytes: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void,
) => Promise<void>;

const decompressors = {
  gz: decompressGzip,
  xz: decompressXz,
  zst: (handle, size, sink, onBytes) => decompressZstd(byteSource(handle, size, onBytes), sink),
  bz2: (handle, size, sink, onBytes) => decompressBzip2(handle.fd, size, sink, onBytes),
  simg: (handle, size, sink, onBytes) => decompressAndroidSparse(byteSource(handle, size, onBytes), sink),
} satisfies Record<Exclude<Compression, 'none'>, Decompress>;

/** How the file at `path` is compressed, by its first bytes; its name does not matter. */
export async function probeCompression(path: string): Promise<Compression> {
  const handle = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(6), 0, 6, 0);
    const start = buffer.toString('hex', 0, bytesRead);
    return MAGICS.find(([, magic]) => start.startsWith(magic))?.[0] ?? 'none';
  } finally {
    await handle.close();
  }
}

/**
 * A base image, plain or compressed (`.gz .xz .zst .bz2`, known by their first bytes, joined members included). A plain
 * one is opened at no cost. A compressed one is decompressed once, as a sparse file, into the cache (kind `base-image`,
 * keyed by the digest of the file as given); checksums of the format are verified.
 *
 * Errors: BASE_IMAGE_MISSING, BASE_IMAGE_TRUNCATED, BASE_IMAGE_DAMAGED, BASE_IMAGE_EMPTY.
 */
export async function openDiskImage(
  path: string,
  { cache, progress = silent, digestOf }: OpenDiskImageOptions,
): Promise<DiskImage> {
  const size = await sizeOf(path);
  const compression = await probeCompression(path);
  const findDigest = async (): Promise<Digest> =>
    digestOf
      ? await digestOf(path)
      : await withStep(progress, `Hashing ${path}`, size, (step) =>
          hashFile(path, (bytes) => step.advance(bytes)).then(({ digest }) => digest),
        );
  let digest: Promise<Digest> | undefined;
  const digestOnce = () => (digest ??= findDigest());
  const plain =
    compression === 'none'
      ? path
      : await cache.get('base-image', digestHex(await digestOnce()), async (target) => {
          await withStep(progress, `Decompressing ${path}`, size, (step) =>
            decompressFile(path, compression, target, (bytes) => step.advance(bytes)),
          );
        });
  const reader = await openFileReader(plain);
  return {
    path: plain,
    size: reader.size,
    read: (position, length) => reader.read(position, length),
    source: { path, size, compression },
    digest: digestOnce,
    close: () => reader.close(),
    [Symbol.asyncDispose]: () => reader.close(),
  };
}

async function sizeOf(path: string): Promise<number> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('BASE_IMAGE_MISSING', `there is no base image ${path}`, 'Check the path in boxship.yaml.');
  });
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new UserError('BASE_IMAGE_MISSING', `the base image ${path} is not a file`);
    if (info.size === 0) throw new UserError('BASE_IMAGE_EMPTY', `the base image ${path} is empty`, 'Fetch it again.');
    return info.size;
  } finally {
    await handle.close();
  }
}

/**
 * Decompresses `path` into the new file `target`, sparse and synced. Returns the size of what it holds.
 * Errors: BASE_IMAGE_TRUNCATED, BASE_IMAGE_DAMAGED; those of the file system as they are.
 */
export async function decompressFile(
  path: string,
  compression: Exclude<Compression, 'none'>,
  target: string,
  onBytes: (bytes: number) => void = () => {},
): Promise<number> {
  const to = await open(target, 'wx');
  try {
    const stream = sparseStream(to);
    await decompressTo(path, compression, (bytes) => stream.write(bytes), onBytes);
    return await stream.finish();
  } finally {
    await to.close();
  }
}

/** Writes what the file holds to `sink`, in order; what `sink` throws is thrown. Errors: as `decompressFile`. */
export async function decompressTo(
  path: string,
  compression: Exclude<Compression, 'none'>,
  sink: (bytes: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const from = await open(path, 'r');
  try {
    const { size } = await from.stat();
    await decompressors[compression](from, size, sink, onBytes).catch((error: unknown) => {
      throw explain(error, path, compression, size);
    });
  } finally {
    await from.close();
  }
}

async function decompressGzip(
  handle: FileHandle,
  _size: number,
  sink: (bytes: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const input = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 512 * 1024 });
  input.on('data', (chunk) => onBytes(chunk.length));
  let failed: { error: unknown } | undefined;
  try {
    await pipeline(input, createGunzip({ chunkSize: 1024 * 1024 }), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        await sink(chunk).catch((error: unknown) => {
          failed = { error };
          throw error;
        });
      }
    });
  } catch (error) {
    if (failed) throw failed.error; // `pipeline` rejects with the AbortError that the sink's failure brought about
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw new CutShort('ends within a member');
    if (code === 'Z_DATA_ERROR') throw new Damaged(message);
    throw error;
  }
}

function explain(error: unknown, path: string, compression: Compression, size: number): unknown {
  const hint = 'Fetch the file again and compare its size and checksum with those of its vendor.';
  const what = `the base image ${path} (.${compression}, ${size} bytes)`;
  if (error instanceof CutShort) {
    return new UserError('BASE_IMAGE_TRUNCATED', `${what} is cut short: it ${error.message}`, hint);
  }
  if (error instanceof Damaged) {
    return new UserError('BASE_IMAGE_DAMAGED', `${what} cannot be decompressed: ${error.message}`, hint);
  }
  return error;
}

async function withStep<T>(
  progress: Progress,
  label: string,
  total: number,
  work: (step: ProgressStep) => Promise<T>,
): Promise<T> {
  const step = progress.start(label, total);
  try {
    return await work(step);
  } finally {
    step.end();
  }
}
