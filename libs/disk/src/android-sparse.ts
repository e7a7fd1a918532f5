import type { FileHandle } from 'node:fs/promises';
import { MiB, UserError, type ByteRange } from '@boxship/model';
import { mapBlocks } from './bmap.ts';

// The format is that of AOSP's libsparse: system/core/libsparse/sparse_format.h.
export const SPARSE_MAGIC = 0xed26ff3a;
export const SPARSE_BLOCK = 4096;
export const FILE_HEADER = 28;
export const CHUNK_HEADER = 12;
export const CHUNK = { raw: 0xcac1, fill: 0xcac2, dontCare: 0xcac3, crc32: 0xcac4 } as const;

/** Bytes of one read, and of one raw chunk at most. */
const READ_SIZE = 4 * MiB;
/** What a part needs beside its blocks: its header, and blocks to skip before and behind. */
const PART_OVERHEAD = FILE_HEADER + 2 * CHUNK_HEADER;

/** One file of an Android sparse image: the blocks that it brings. Together the parts bring all that is mapped. */
export type SparsePart = readonly ByteRange[];

/**
 * The mapped `ranges` of an image as files that a flasher takes one after another (`fastboot flash`, `simg2img a b out`).
 * Without `limit` it is one file; with it, none is larger than so many bytes, whatever the blocks hold.
 * Errors: SPARSE_LIMIT when a limit has no room for a single block.
 */
export function planAndroidSparse(
  ranges: readonly ByteRange[],
  imageSize: number,
  limit = Infinity,
): readonly SparsePart[] {
  const whole = mapBlocks(ranges, imageSize);
  if (limit === Infinity) return [whole];
  const least = sparsePartLimit([{ start: 0, end: SPARSE_BLOCK }]);
  if (limit < least) {
    throw new UserError(
      'SPARSE_LIMIT',
      `a sparse image cannot be split into files of ${limit} bytes: a block needs ${least}`,
      'Take what the boot loader says: fastboot getvar max-download-size.',
    );
  }
  const parts: ByteRange[][] = [[]];
  let room = limit - PART_OVERHEAD;
  for (const { start, end } of whole) {
    for (let at = start; at < end;) {
      // a range costs the skip before it, and a header for each raw chunk
      const blocks = Math.floor((room - CHUNK_HEADER - rawHeaders(Math.min(end - at, room))) / SPARSE_BLOCK);
      if (blocks < 1) {
        parts.push([]);
        room = limit - PART_OVERHEAD;
        continue;
      }
      const stop = Math.min(end, at + blocks * SPARSE_BLOCK);
      parts.at(-1)!.push({ start: at, end: stop });
      room -= CHUNK_HEADER + rawHeaders(stop - at) + blockCount(stop - at) * SPARSE_BLOCK;
      at = stop;
    }
  }
  return parts;
}

/** Bytes of headers that so many bytes cost at most: other chunks are smaller than the blocks that they stand for. */
function rawHeaders(bytes: number): number {
  return (Math.ceil(bytes / READ_SIZE) + 1) * CHUNK_HEADER;
}

function blockCount(bytes: number): number {
  return Math.ceil(bytes / SPARSE_BLOCK);
}

/** Most bytes that a part can have. */
export function sparsePartLimit(part: SparsePart): number {
  return part.reduce(
    (sum, { start, end }) => sum + CHUNK_HEADER + rawHeaders(end - start) + blockCount(end - start) * SPARSE_BLOCK,
    PART_OVERHEAD,
  );
}

/**
 * The bytes of one part, in order: blocks as they are, or as a fill where all words of a block are equal; blocks outside of
 * the part are skipped, which leaves what the device had. `source` is the plain image. The last block is filled up with zeros
 * when the image ends within it. Chunks may be reused: copy what you keep. There is no checksum: no reader of fastboot looks.
 */
export async function* androidSparse(
  source: FileHandle,
  imageSize: number,
  part: SparsePart,
  onBytes: (bytes: number) => void = () => {},
): AsyncIterable<Uint8Array> {
  const total = blockCount(imageSize);
  const buffer = Buffer.allocUnsafeSlow(READ_SIZE);
  // The number of chunks stands first: count them by a look at every block, then write them.
  let chunks = 0;
  for await (const pieces of piecesOf(source, buffer, part, total, () => {})) chunks += pieces.length;
  yield fileHeader(total, chunks);
  for await (const pieces of piecesOf(source, buffer, part, total, onBytes)) {
    for (const { type, blocks, at } of pieces) {
      if (type === CHUNK.raw) {
        yield chunkHeader(type, blocks, blocks * SPARSE_BLOCK);
        yield buffer.subarray(at, at + blocks * SPARSE_BLOCK);
      } else if (type === CHUNK.fill) {
        yield chunkHeader(type, blocks, 4);
        yield buffer.subarray(at, at + 4);
      } else yield chunkHeader(type, blocks, 0);
    }
  }
}

/** A chunk; of raw and fill, where its bytes are in the buffer. */
interface Piece {
  readonly type: number;
  readonly blocks: number;
  readonly at: number;
}

/** The chunks of a part, a buffer of them at a time. */
async function* piecesOf(
  source: FileHandle,
  buffer: Buffer,
  part: SparsePart,
  total: number,
  onBytes: (bytes: number) => void,
): AsyncIterable<readonly Piece[]> {
  let next = 0; // block
  for (const { start, end } of part) {
    const first = start / SPARSE_BLOCK;
    if (first > next) yield [{ type: CHUNK.dontCare, blocks: first - next, at: 0 }];
    for (let at = start; at < end;) {
      const stop = Math.min(end, at - (at % READ_SIZE) + READ_SIZE);
      const bytes = await readBlocks(source, buffer, at, stop);
      yield cutChunks(bytes);
      onBytes(stop - at);
      at = stop;
    }
    next = blockCount(end);
  }
  if (total > next) yield [{ type: CHUNK.dontCare, blocks: total - next, at: 0 }];
}

/** Bytes of `[start, end)` in whole blocks, the last one filled up with zeros. */
async function readBlocks(source: FileHandle, buffer: Buffer, start: number, end: number): Promise<Buffer> {
  const length = end - start;
  for (let done = 0; done < length;) {
    const { bytesRead } = await source.read(buffer, done, length - done, start + done);
    if (bytesRead === 0) throw new Error(`the image ends at ${start + done}, ${length - done} bytes too early`);
    done += bytesRead;
  }
  const whole = blockCount(length) * SPARSE_BLOCK;
  return buffer.subarray(0, whole).fill(0, length, whole);
}

function cutChunks(bytes: Buffer): Piece[] {
  const pieces: { type: number; blocks: number; at: number }[] = [];
  for (let at = 0; at < bytes.length; at += SPARSE_BLOCK) {
    const type = isFill(bytes, at) ? CHUNK.fill : CHUNK.raw;
    const last = pieces.at(-1);
    const joins = last?.type === type && (type === CHUNK.raw || bytes.readUInt32LE(last.at) === bytes.readUInt32LE(at));
    if (joins) last.blocks++;
    else pieces.push({ type, blocks: 1, at });
  }
  return pieces;
}

function isFill(bytes: Buffer, at: number): boolean {
  // most blocks differ in their first words: look before the call
  if (bytes.readUInt32LE(at) !== bytes.readUInt32LE(at + 4)) return false;
  const end = at + SPARSE_BLOCK;
  return bytes.compare(bytes, at, end - 4, at + 4, end) === 0;
}

function fileHeader(blocks: number, chunks: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(SPARSE_MAGIC, 0);
  header.writeUInt16LE(1, 4); // version 1.0
  header.writeUInt16LE(FILE_HEADER, 8);
  header.writeUInt16LE(CHUNK_HEADER, 10);
  header.writeUInt32LE(SPARSE_BLOCK, 12);
  header.writeUInt32LE(blocks, 16);
  header.writeUInt32LE(chunks, 20);
  return header; // checksum 0: none
}

function chunkHeader(type: number, blocks: number, dataBytes: number): Buffer {
  const header = Buffer.alloc(CHUNK_HEADER);
  header.writeUInt16LE(type, 0);
  header.writeUInt32LE(blocks, 4);
  header.writeUInt32LE(CHUNK_HEADER + dataBytes, 8);
  return header;
}
