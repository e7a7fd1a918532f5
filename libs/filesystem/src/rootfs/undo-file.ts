import type { ByteRange } from '@boxship/model';

/** e2fsprogs, lib/ext2fs/undo_io.c: `E2UNDO_MAGIC`, `KEYBLOCK_MAGIC`, `struct undo_header`, `struct undo_key_block`. */
const MAGIC = 'E2UNDO02';
const KEY_BLOCK_MAGIC = 0xcadecade;
const KEY = 16;

/**
 * The ranges of a file system, in bytes from its start, that a program of e2fsprogs wrote to while it kept the undo file `bytes`
 * (`-z`): ascending and apart. Errors: a plain Error when it is none, was cut off, or is of a kind that is not known.
 */
export function rangesOfUndoFile(bytes: Buffer): readonly ByteRange[] {
  const isWhole = bytes.length >= 512 && bytes.toString('latin1', 0, 8) === MAGIC;
  if (!isWhole) throw new Error(`it is no undo file of the kind ${MAGIC}`);
  const number = (at: number) => Number(bytes.readBigUInt64LE(at));
  const [keyCount, firstKeyBlock] = [number(8), number(24)];
  const [blockSize, fsBlockSize] = [bytes.readUInt32LE(32), bytes.readUInt32LE(36)];
  if (bytes.readUInt32LE(52) !== 0 || bytes.readUInt32LE(56) !== 0)
    throw new Error('it has features that are not known');
  if (blockSize < 1024 || fsBlockSize < 1024)
    throw new Error(`it has blocks of ${blockSize} bytes, for blocks of ${fsBlockSize} bytes`);
  const keysInBlock = blockSize / KEY - 1;
  const ranges: ByteRange[] = [];
  let block = firstKeyBlock;
  for (let left = keyCount; left > 0; left -= keysInBlock) {
    const at = block * blockSize;
    if (at + blockSize > bytes.length || bytes.readUInt32LE(at) !== KEY_BLOCK_MAGIC) {
      throw new Error(`block ${block} of it holds no keys`);
    }
    block++;
    for (let key = 1; key <= Math.min(left, keysInBlock); key++) {
      const start = number(at + key * KEY) * fsBlockSize;
      const size = bytes.readUInt32LE(at + key * KEY + 12);
      ranges.push({ start, end: start + size });
      block += Math.ceil(size / blockSize);
    }
  }
  return merged(ranges);
}

function merged(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}
