import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/** dm-verity with these sizes is what RAUC sets up (its verity_hash.c): blocks of 4 KiB, SHA-256, format version 1. */
const BLOCK = 4096;
const HASH = 32;
const HASHES_PER_BLOCK = BLOCK / HASH;
/** Blocks that are read at once. */
const CHUNK_BLOCKS = 256;

export interface VerityTree {
  /** Hex of the root hash. */
  readonly rootHash: string;
  /** Bytes of the tree behind the data. */
  readonly size: number;
}

/**
 * Writes the hash tree of the first `dataSize` bytes of a file behind them, the top level first, without a superblock
 * (Linux, Documentation/admin-guide/device-mapper/verity.rst). Each hash is that of the salt and a block. Memory does not
 * grow with the file: each level is read back for the next one.
 */
export async function writeVerityTree(file: FileHandle, dataSize: number, salt: Uint8Array): Promise<VerityTree> {
  if (dataSize % BLOCK !== 0 || dataSize <= BLOCK) throw new Error(`${dataSize} bytes are no data for a hash tree`);
  const counts: number[] = []; // hash blocks of each level, from the one above the data up
  for (let count = dataSize / BLOCK; count > 1;) counts.push((count = Math.ceil(count / HASHES_PER_BLOCK)));
  const starts = counts.map(
    (_, level) => dataSize + BLOCK * counts.slice(level + 1).reduce((sum, one) => sum + one, 0),
  );
  const hashOf = (block: Uint8Array) => createHash('sha256').update(salt).update(block).digest();
  const input = Buffer.allocUnsafe(CHUNK_BLOCKS * BLOCK);

  let from = { start: 0, blocks: dataSize / BLOCK };
  for (const [level, start] of starts.entries()) {
    let hashes: Buffer[] = [];
    let at = start;
    const flush = async () => {
      const block = Buffer.alloc(BLOCK);
      hashes.forEach((hash, index) => hash.copy(block, index * HASH));
      await writeAll(file, block, at);
      at += BLOCK;
      hashes = [];
    };
    for (let done = 0; done < from.blocks; done += CHUNK_BLOCKS) {
      const count = Math.min(CHUNK_BLOCKS, from.blocks - done);
      const chunk = input.subarray(0, count * BLOCK);
      await readAll(file, chunk, from.start + done * BLOCK);
      for (let block = 0; block < count; block++) {
        hashes.push(hashOf(chunk.subarray(block * BLOCK, (block + 1) * BLOCK)));
        if (hashes.length === HASHES_PER_BLOCK) await flush();
      }
    }
    if (hashes.length > 0) await flush();
    from = { start, blocks: counts[level]! };
  }
  const top = Buffer.allocUnsafe(BLOCK);
  await readAll(file, top, from.start);
  return { rootHash: hashOf(top).toString('hex'), size: BLOCK * counts.reduce((sum, one) => sum + one, 0) };
}

async function readAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length;) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) throw new Error(`the file ends at ${position + done}`);
    done += bytesRead;
  }
}

async function writeAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length;) {
    done += (await file.write(buffer, done, buffer.length - done, position + done)).bytesWritten;
  }
}
