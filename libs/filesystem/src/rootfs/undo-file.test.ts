import { describe, expect, it } from 'vitest';
import { rangesOfUndoFile } from './undo-file.ts';

/** An undo file with blocks of 1024 bytes; each key is a block of the file system and a length in bytes. */
function undoFile(keys: readonly (readonly [number, number])[], fsBlockSize = 4096): Buffer {
  const blocks = [Buffer.alloc(1024), Buffer.alloc(1024)];
  const header = blocks[0]!;
  header.write('E2UNDO02', 'latin1');
  header.writeBigUInt64LE(BigInt(keys.length), 8);
  header.writeBigUInt64LE(1n, 16);
  header.writeBigUInt64LE(2n, 24);
  header.writeUInt32LE(1024, 32);
  header.writeUInt32LE(fsBlockSize, 36);
  for (let first = 0; first < keys.length; first += 63) {
    const keyBlock = Buffer.alloc(1024);
    keyBlock.writeUInt32LE(0xcadecade, 0);
    blocks.push(keyBlock);
    for (const [index, [block, size]] of keys.slice(first, first + 63).entries()) {
      keyBlock.writeBigUInt64LE(BigInt(block), 16 * (index + 1));
      keyBlock.writeUInt32LE(size, 16 * (index + 1) + 12);
      blocks.push(Buffer.alloc(Math.ceil(size / 1024) * 1024));
    }
  }
  return Buffer.concat(blocks);
}

describe('rangesOfUndoFile', () => {
  it('tells what was written, in order and without gaps of its own', () => {
    const ranges = rangesOfUndoFile(
      undoFile([
        [7, 8192],
        [0, 4096],
        [9, 1024],
      ]),
    );
    expect(ranges).toEqual([
      { start: 0, end: 4096 },
      { start: 7 * 4096, end: 9 * 4096 + 1024 },
    ]);
  });

  it('reads more keys than one block holds', () => {
    const keys = Array.from({ length: 200 }, (_, index) => [2 * index, 1024 * (1 + (index % 3))] as const);
    expect(rangesOfUndoFile(undoFile(keys))).toHaveLength(200);
  });

  it.each([
    ['another file', Buffer.from('E2UNDO03'.padEnd(2048)), 'no undo file'],
    ['nothing', Buffer.alloc(0), 'no undo file'],
    ['one that was cut off', undoFile([[1, 1024]]).subarray(0, 2048), 'holds no keys'],
    ['no keys where they should be', undoFile([[1, 1024]]).fill(0, 2048), 'holds no keys'],
    ['no block size', undoFile([[1, 1024]], 0), 'blocks of 1024 bytes'],
    ['a feature of later', Buffer.from(undoFile([[1, 1024]])).fill(1, 52, 53), 'not known'],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => rangesOfUndoFile(bytes)).toThrow(message);
  });
});
