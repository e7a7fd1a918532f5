import { createGunzip } from 'node:zlib';
import { UserError } from '@boxship/model';
import { Decompress as ZstdDecompress } from 'fzstd';
import type { LayerCompression } from './compression.ts';

/** Output per allocation: large, because each one is a crossing between threads. */
const OUTPUT_CHUNK = 512 * 1024;
/** What may lie between inflating, which has a thread of its own, and the reader: both are kept busy. */
const OUTPUT_QUEUE = 2 * 1024 * 1024;
/** A kilobyte of zstd can say 32 MiB (256 blocks of 128 KiB), and all of it comes at once. */
const ZSTD_SLICE = 1024;
/** As zstd's own programs: what a frame may ask for without being told so (--long=27). */
const ZSTD_WINDOW_LIMIT = 128 * 1024 * 1024;

export interface DecompressOptions {
  /** How errors call the stream. */
  readonly name: string;
  /** Most bytes that may come out; one more and it fails. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * The bytes of a compressed stream: gzip of any number of members, zstd of any number of frames, or as they are.
 * A chunk is valid until the next one is asked for. `input` chunks may be reused after the next one was asked for.
 * Errors: BAD_COMPRESSION (damaged, cut off, or followed by something else), LAYER_TOO_LARGE when `limit` is exceeded.
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const limit = options.limit ?? Infinity;
  const output =
    compression === 'none' ? input : compression === 'gzip' ? gunzip(input, options) : unzstd(input, options);
  let total = 0;
  for await (const chunk of output) {
    total += chunk.length;
    if (total > limit) {
      throw new UserError(
        'LAYER_TOO_LARGE',
        `${options.name} unpacks to more than the ${limit} bytes that it may`,
        'Do not use this image if you do not know why: it may be made to fill disks. Raise the limit if it is yours.',
      );
    }
    yield chunk;
  }
}

async function* gunzip(input: AsyncIterable<Uint8Array>, options: DecompressOptions): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: OUTPUT_CHUNK, highWaterMark: OUTPUT_QUEUE } as object);
  const queue: Buffer[] = [];
  let queued = 0;
  let ended = false;
  let stopped = false;
  let failure: unknown;
  let wake: () => void = () => {};
  let taken: () => void = () => {};
  const settle = (error?: unknown) => {
    if (error !== undefined) failure ??= error;
    ended = true;
    wake();
    taken();
  };
  // not the stream's own iterator: that one joins what is queued, which is a copy of everything
  stream.on('data', (chunk: Buffer) => {
    queue.push(chunk);
    queued += chunk.length;
    if (queued >= OUTPUT_QUEUE) stream.pause();
    wake();
  });
  stream.on('end', () => settle());
  stream.on('error', (error: Error) => settle(badCompression(options.name, 'gzip', error.message)));
  stream.on('close', () => settle());
  const feed = async () => {
    let given = 0;
    for await (const chunk of input) {
      if (stopped || failure !== undefined) return;
      given += chunk.length;
      if (stream.bytesWritten === given - chunk.length) {
        await new Promise<void>((resolve) => {
          taken = resolve;
          stream.write(chunk, () => resolve());
        });
        if (stopped || failure !== undefined) return;
      }
      // zlib takes nothing more behind zeros that follow the last member (tapes have them)
      const unused = chunk.subarray(Math.max(0, chunk.length - (given - stream.bytesWritten)));
      if (unused.some((byte) => byte !== 0))
        throw badCompression(options.name, 'gzip', 'it is followed by something else');
    }
    if (!ended) stream.end();
  };
  const feeding = feed().catch(settle);
  try {
    for (;;) {
      const chunk = queue.shift();
      if (chunk) {
        queued -= chunk.length;
        if (queued < OUTPUT_QUEUE / 2 && stream.isPaused()) stream.resume();
        yield chunk;
        continue;
      }
      if (failure !== undefined) throw failure;
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (queue.length > 0 || ended) resolve();
      });
    }
    await feeding;
    if (failure !== undefined) throw failure;
  } finally {
    stopped = true;
    taken();
    stream.destroy();
    await feeding;
  }
}

async function* unzstd(input: AsyncIterable<Uint8Array>, options: DecompressOptions): AsyncGenerator<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const decoder = new ZstdDecompress((block) => {
    if (block.length > 0) blocks.push(block);
  });
  const push = (bytes: Uint8Array, last: boolean) => {
    try {
      decoder.push(bytes, last);
    } catch (error) {
      throw badCompression(options.name, 'zstd', (error as Error).message);
    }
  };
  let first = true;
  for await (const chunk of input) {
    if (first && zstdWindow(chunk) > ZSTD_WINDOW_LIMIT) {
      throw badCompression(
        options.name,
        'zstd',
        `it wants a window of ${zstdWindow(chunk)} bytes, at most ${ZSTD_WINDOW_LIMIT}`,
      );
    }
    first = false;
    for (let at = 0; at < chunk.length; at += ZSTD_SLICE) {
      // fzstd keeps what it could not use yet, and chunks are reused
      push(new Uint8Array(chunk.subarray(at, at + ZSTD_SLICE)), false);
      yield* blocks;
      blocks.length = 0;
    }
  }
  if (first) throw badCompression(options.name, 'zstd', 'it is empty');
  push(new Uint8Array(0), true);
  yield* blocks;
}

/** Window of the first frame in bytes (RFC 8878 3.1.1.1.2), 0 when there is none. */
function zstdWindow(head: Uint8Array): number {
  const magic = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd;
  if (!magic || head.length < 18) return 0;
  const descriptor = head[4]!;
  if (!(descriptor & 0x20)) {
    const base = 2 ** (10 + (head[5]! >> 3));
    return base + (base / 8) * (head[5]! & 7);
  }
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const bytes = descriptor >> 6 === 0 ? 1 : 1 << (descriptor >> 6);
  let size = 0;
  for (let i = bytes - 1; i >= 0; i--) size = size * 256 + head[5 + dictionary + i]!;
  return size;
}

function badCompression(name: string, kind: string, what: string): UserError {
  return new UserError('BAD_COMPRESSION', `${name} is not whole ${kind}: ${what}`, 'Fetch or build the image again.');
}
