import { crc32 } from 'node:zlib';
import { MiB } from '@boxship/model';
import { CHUNK, CHUNK_HEADER, FILE_HEADER, SPARSE_MAGIC } from './android-sparse.ts';
import { Damaged, type ByteSource } from './byte-source.ts';

/** Blocks larger than this are nobody's; AOSP writes 4096. */
const LARGEST_BLOCK = MiB;

/**
 * Writes what an Android sparse image holds to `sink`: raw and fill chunks, zeros for blocks that a flasher skips. Headers of
 * newer minor versions may be longer; checksums are verified where there are some (libsparse's sparse_format.h).
 */
export async function decompressAndroidSparse(
  source: ByteSource,
  sink: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const header = Buffer.from(await source.take(FILE_HEADER));
  const [major, headerSize, chunkHeaderSize] = [
    header.readUInt16LE(4),
    header.readUInt16LE(8),
    header.readUInt16LE(10),
  ];
  const [blockSize, total, chunks, imageChecksum] = [12, 16, 20, 24].map((at) => header.readUInt32LE(at)) as [number, number, number, number]; // prettier-ignore
  if (header.readUInt32LE(0) !== SPARSE_MAGIC) throw new Damaged('no header of a sparse image');
  if (major !== 1) throw new Damaged(`version ${major} of the sparse format is not known`);
  if (headerSize < FILE_HEADER || chunkHeaderSize < CHUNK_HEADER) throw new Damaged('its headers are too short');
  if (blockSize === 0 || blockSize % 4 !== 0 || blockSize > LARGEST_BLOCK) {
    throw new Damaged(`blocks of ${blockSize} bytes are none of the sparse format`);
  }
  await source.take(headerSize - FILE_HEADER);
  let checksum = 0;
  const write = async (bytes: Uint8Array) => {
    checksum = crc32(bytes, checksum);
    await sink(bytes);
  };
  const verify = (expected: number, at: string) => {
    if (expected !== checksum) throw new Damaged(`the checksum ${at} is ${expected}, its bytes give ${checksum}`);
  };
  let done = 0;
  for (let index = 0; index < chunks; index++) {
    const at = source.position;
    const chunk = Buffer.from(await source.take(chunkHeaderSize));
    const [type, blocks, size] = [
      chunk.readUInt16LE(0),
      chunk.readUInt32LE(4),
      chunk.readUInt32LE(8) - chunkHeaderSize,
    ];
    if (type !== CHUNK.crc32 && done + blocks > total) {
      throw new Damaged(`the chunk at byte ${at} ends at block ${done + blocks} of ${total}`);
    }
    const bytes = blocks * blockSize;
    const due = { [CHUNK.raw]: bytes, [CHUNK.fill]: 4, [CHUNK.dontCare]: 0, [CHUNK.crc32]: 4 }[type];
    if (size !== due) throw new Damaged(`the chunk at byte ${at} is of no known type or of a wrong size`);
    if (type === CHUNK.raw) await copyRaw(source, bytes, write);
    else if (type === CHUNK.fill) await fill(Buffer.from(await source.take(4)), bytes, write);
    else if (type === CHUNK.dontCare) await fill(Buffer.alloc(4), bytes, write);
    else verify((await source.take(4)).readUInt32LE(0), `at byte ${at}`);
    if (type !== CHUNK.crc32) done += blocks;
  }
  if (done !== total) throw new Damaged(`its ${chunks} chunks have ${done} of ${total} blocks`);
  if (source.position < source.size)
    throw new Damaged(`something follows behind its last chunk, at byte ${source.position}`);
  if (imageChecksum !== 0) verify(imageChecksum, 'in its header');
}

async function copyRaw(source: ByteSource, bytes: number, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for (let left = bytes; left > 0;) {
    const count = Math.min(left, MiB / 2);
    await write(await source.take(count));
    left -= count;
  }
}

async function fill(word: Buffer, bytes: number, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const filled = Buffer.alloc(Math.min(bytes, MiB), word);
  for (let left = bytes; left > 0; left -= Math.min(left, filled.length)) {
    await write(filled.subarray(0, Math.min(left, filled.length)));
  }
}
