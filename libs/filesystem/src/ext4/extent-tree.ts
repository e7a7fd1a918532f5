import { BLOCK_SIZE } from './geometry.ts';
import { crc32c } from './crc32c.ts';
import type { RunCursor } from './free-runs.ts';

/** Documentation/filesystems/ext4/ifork.rst "Extent Tree": `eh_magic`. */
const EXTENT_MAGIC = 0xf30a;

/** Bytes of `ext4_extent_header`, `ext4_extent` and `ext4_extent_idx` alike. */
const ENTRY = 12;

/** Blocks of one extent: `EXT_INIT_MAX_LEN`, 1 << 15; a longer length means "not initialised". */
const MAX_EXTENT_LENGTH = 1 << 15;

/** Entries in `i_block`: (60 - 12) / 12. */
const ROOT_ENTRIES = 4;

/** Entries in a block, which ends with a checksum of 4 bytes: floor((4096 - 12) / 12). */
const BLOCK_ENTRIES = Math.floor((BLOCK_SIZE - ENTRY) / ENTRY);
const TAIL = ENTRY + BLOCK_ENTRIES * ENTRY;

/** The extents of one file; made once and filled again for each file. */
export class ExtentList {
  readonly fileBlocks: number[] = [];
  readonly diskBlocks: number[] = [];
  readonly lengths: number[] = [];
  count = 0;

  clear(): void {
    this.count = 0;
  }

  /** Adds `length` blocks of the file from `fileBlock` on, which lie at `spaceBlock` of file space. */
  add(cursor: RunCursor, fileBlock: number, spaceBlock: number, length: number): void {
    while (length > 0) {
      const piece = Math.min(length, cursor.left(spaceBlock), MAX_EXTENT_LENGTH);
      this.fileBlocks[this.count] = fileBlock;
      this.diskBlocks[this.count] = cursor.locate(spaceBlock);
      this.lengths[this.count] = piece;
      this.count++;
      fileBlock += piece;
      spaceBlock += piece;
      length -= piece;
    }
  }
}

/** Blocks that a tree of so many extents needs besides the root in the inode. */
export function extentTreeBlocks(extents: number): number {
  let blocks = 0;
  for (let entries = extents; entries > ROOT_ENTRIES;) {
    entries = Math.ceil(entries / BLOCK_ENTRIES);
    blocks += entries;
  }
  return blocks;
}

/**
 * Writes the root to `view` at `root` (the 60 bytes of `i_block`) and hands the other blocks, leaves first, to `emit`.
 * `blockAt(n)` is the disk address of the n-th block of the tree; `seed` is the checksum seed of the inode.
 */
export function writeExtentTree(
  extents: ExtentList,
  view: DataView,
  root: number,
  seed: number,
  blockAt: (index: number) => number,
  emit: (diskBlock: number, bytes: Uint8Array) => void,
): void {
  let level: Level = { depth: 0, fileBlocks: extents.fileBlocks, targets: extents.diskBlocks, count: extents.count };
  let used = 0;
  while (level.count > ROOT_ENTRIES) {
    const above: { depth: number; fileBlocks: number[]; targets: number[]; count: number } = {
      depth: level.depth + 1,
      fileBlocks: [],
      targets: [],
      count: 0,
    };
    for (let from = 0; from < level.count; from += BLOCK_ENTRIES) {
      const bytes = new Uint8Array(BLOCK_SIZE);
      const blockView = new DataView(bytes.buffer);
      const to = Math.min(level.count, from + BLOCK_ENTRIES);
      writeNode(blockView, 0, BLOCK_ENTRIES, level, from, to, extents.lengths);
      blockView.setUint32(TAIL, crc32c(seed, bytes, 0, TAIL), true);
      above.fileBlocks.push(level.fileBlocks[from]!);
      above.targets.push(blockAt(used));
      above.count++;
      emit(blockAt(used), bytes);
      used++;
    }
    level = above;
  }
  writeNode(view, root, ROOT_ENTRIES, level, 0, level.count, extents.lengths);
}

/** One level of the tree: entry `n` starts at `fileBlocks[n]` of the file and points to the disk block `targets[n]`. */
interface Level {
  readonly depth: number;
  readonly fileBlocks: readonly number[];
  readonly targets: readonly number[];
  readonly count: number;
}

function writeNode(
  view: DataView,
  at: number,
  max: number,
  level: Level,
  from: number,
  to: number,
  lengths: readonly number[],
): void {
  view.setUint16(at, EXTENT_MAGIC, true);
  view.setUint16(at + 2, to - from, true);
  view.setUint16(at + 4, max, true);
  view.setUint16(at + 6, level.depth, true);
  for (let index = from, entry = at + ENTRY; index < to; index++, entry += ENTRY) {
    view.setUint32(entry, level.fileBlocks[index]!, true);
    if (level.depth === 0) {
      view.setUint16(entry + 4, lengths[index]!, true); // ee_len; ee_start_hi stays 0 below 2^32 blocks
      view.setUint32(entry + 8, level.targets[index]!, true);
    } else {
      view.setUint32(entry + 4, level.targets[index]!, true); // ei_leaf_lo
    }
  }
}
