import { once } from 'node:events';
import * as zlib from 'node:zlib';
import type { Transform } from 'node:stream';
import { Decompress } from 'fzstd';
import { createXXHash64, type IHasher } from 'hash-wasm';
import { MiB } from '@boxship/model';
import { Damaged, type ByteSource } from './byte-source.ts';

/** The window that `zstd -d` allows unless told otherwise (--long=27): 128 MiB. More would break our memory limit. */
const MAX_WINDOW = 128 * MiB;
const MAGIC = 0xfd2fb528;

/** Takes the compressed bytes of one frame, block by block. */
interface FrameDecoder {
  push(bytes: Buffer): Promise<void>;
  end(): Promise<void>;
}

/** What a frame's header says (RFC 8878, 3.1.1.1). */
interface FrameHeader {
  readonly bytes: Buffer;
  readonly contentSize: bigint | undefined;
  readonly hasChecksum: boolean;
}

/**
 * Writes what the frames of a .zst file hold to `sink`, skippable frames left out (RFC 8878). The content checksum and
 * size of each frame are checked. Node's own zstd does the work where there is one (22.15 and later), else fzstd.
 */
export async function decompressZstd(source: ByteSource, sink: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const hasher = await createXXHash64();
  while (source.position < source.size) {
    const magic = (await source.take(4)).readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      await skip(source, (await source.take(4)).readUInt32LE(0));
    } else if (magic === MAGIC) {
      await decompressFrame(source, sink, hasher);
    } else {
      throw new Damaged(`no zstd frame at byte ${source.position - 4}`);
    }
  }
}

async function skip(source: ByteSource, count: number): Promise<void> {
  for (let left = count; left > 0; left -= Math.min(left, 65536)) await source.take(Math.min(left, 65536));
}

async function decompressFrame(
  source: ByteSource,
  sink: (bytes: Uint8Array) => Promise<void>,
  hasher: IHasher,
): Promise<void> {
  const header = await readHeader(source);
  hasher.init();
  let size = 0;
  const decoder = newDecoder(async (bytes) => {
    size += bytes.length;
    hasher.update(bytes);
    await sink(bytes);
  });
  await decoder.push(header.bytes);
  for (let isLast = false; !isLast;) {
    const head = Buffer.from(await source.take(3));
    const value = head.readUIntLE(0, 3);
    isLast = (value & 1) === 1;
    const type = (value >> 1) & 3;
    if (type === 3) throw new Damaged(`reserved block type at byte ${source.position - 3}`);
    // A run has one byte, whatever its length (RFC 8878, 3.1.1.2.2).
    const length = type === 1 ? 1 : value >> 3;
    if (length > 128 * 1024) throw new Damaged(`block of ${length} bytes at byte ${source.position - 3}`);
    await decoder.push(Buffer.concat([head, await source.take(length)]));
  }
  const checksum = header.hasChecksum ? Buffer.from(await source.take(4)) : undefined;
  if (checksum && decoder.wantsChecksum) await decoder.push(checksum);
  await decoder.end();
  if (header.contentSize !== undefined && header.contentSize !== BigInt(size)) {
    throw new Damaged(`frame has ${size} bytes, its header says ${header.contentSize}`);
  }
  // XXH64 is printed high byte first; the frame has its low four bytes, low byte first.
  const computed = Buffer.from(hasher.digest('binary').subarray(4)).reverse();
  if (checksum && !checksum.equals(computed)) {
    throw new Damaged(`content checksum is ${checksum.toString('hex')}, the bytes give ${computed.toString('hex')}`);
  }
}

async function readHeader(source: ByteSource): Promise<FrameHeader> {
  const descriptor = (await source.take(1))[0]!;
  if ((descriptor & 8) !== 0) throw new Damaged(`reserved bit set in the frame header at byte ${source.position - 1}`);
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionarySize = [0, 1, 2, 4][descriptor & 3]!;
  const contentBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const rest = Buffer.from(await source.take((isSingle ? 0 : 1) + dictionarySize + contentBytes));
  if (dictionarySize > 0) throw new Damaged('the frame needs a dictionary, which a disk image cannot have');
  const contentSize =
    contentBytes === 0
      ? undefined
      : contentBytes === 8
        ? rest.readBigUInt64LE(rest.length - 8)
        : BigInt(rest.readUIntLE(rest.length - contentBytes, contentBytes) + (contentBytes === 2 ? 256 : 0));
  const exponent = 10 + (rest[0]! >> 3);
  const window = isSingle ? Number(contentSize) : 2 ** exponent + (2 ** exponent / 8) * (rest[0]! & 7);
  if (window > MAX_WINDOW) {
    throw new Damaged(`it needs a window of ${window} bytes, ${MAX_WINDOW} is the limit: compress it without --long`);
  }
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  return {
    bytes: Buffer.concat([magic, Buffer.from([descriptor]), rest]),
    contentSize,
    hasChecksum: (descriptor & 4) !== 0,
  };
}

type ZstdOfNode = { createZstdDecompress?: (options: { chunkSize: number }) => Transform };

function newDecoder(onData: (bytes: Uint8Array) => Promise<void>): FrameDecoder & { readonly wantsChecksum: boolean } {
  const { createZstdDecompress } = zlib as unknown as ZstdOfNode;
  return createZstdDecompress
    ? nativeDecoder(createZstdDecompress({ chunkSize: 512 * 1024 }), onData)
    : pureDecoder(onData);
}

/**
 * fzstd, which does not look at checksums: it is not given them. It keeps every chunk that ends where a block does (0.1.1: an
 * empty rest joins a list that is emptied when there is a rest), so each chunk ends one byte early.
 */
function pureDecoder(onData: (bytes: Uint8Array) => Promise<void>): FrameDecoder & { wantsChecksum: boolean } {
  let pending: Uint8Array[] = [];
  let held = new Uint8Array(0);
  const decoder = new Decompress((bytes) => pending.push(bytes));
  const give = async (bytes: Uint8Array) => {
    try {
      decoder.push(bytes);
    } catch (error) {
      throw new Damaged((error as Error).message);
    }
    const ready = pending;
    pending = [];
    for (const chunk of ready) await onData(chunk);
  };
  return {
    wantsChecksum: false,
    async push(bytes) {
      const whole = Buffer.concat([held, bytes]);
      held = Uint8Array.from(whole.subarray(whole.length - 1));
      await give(whole.subarray(0, whole.length - 1));
    },
    end: () => give(held),
  };
}

function nativeDecoder(
  stream: Transform,
  onData: (bytes: Uint8Array) => Promise<void>,
): FrameDecoder & { wantsChecksum: boolean } {
  let failed: Error | undefined;
  const done = (async () => {
    for await (const chunk of stream) await onData(chunk as Buffer);
  })().catch((error: NodeJS.ErrnoException) => {
    failed = error.code?.startsWith('ZSTD') ? new Damaged(error.message) : error;
  });
  return {
    wantsChecksum: true,
    async push(bytes) {
      if (failed) throw failed;
      if (!stream.write(bytes)) await Promise.race([once(stream, 'drain').catch(() => {}), done]);
    },
    async end() {
      stream.end();
      await done;
      if (failed) throw failed;
    },
  };
}
