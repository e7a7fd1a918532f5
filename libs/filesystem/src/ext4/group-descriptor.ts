import { BLOCKS_PER_GROUP, BLOCK_SIZE, DESCRIPTOR_SIZE, backupBlocks, blocksInGroup } from './geometry.ts';
import { crc32c, crc32cOfNumber } from './crc32c.ts';
import type { Layout } from './layout.ts';

/** `bg_flags` (Documentation/filesystems/ext4/group_descr.rst): inode table and bitmap unused; block bitmap not written. */
export const INODE_UNINIT = 0x1;
export const BLOCK_UNINIT = 0x2;

/** What is used in each group. */
export interface GroupUse {
  readonly freeBlocks: Uint32Array;
  readonly usedInodes: Uint32Array;
  readonly directories: Uint32Array;
  readonly flags: Uint16Array;
}

/**
 * `frontier`: blocks of file space that are in use, from its start; `lastInode`: inodes 1 to this one are in use.
 * A group is BLOCK_UNINIT where the kernel can tell the bitmap itself: nothing but a copy of the superblock is used.
 */
export function groupUse(layout: Layout, frontier: number, lastInode: number): GroupUse {
  const { geometry, free } = layout;
  const { groups, inodesPerGroup } = geometry;
  const freeBlocks = new Uint32Array(groups);
  const usedInodes = new Uint32Array(groups);
  const flags = new Uint16Array(groups);
  for (const { start, end } of free.from(frontier)) {
    for (let at = start; at < end;) {
      const group = Math.floor(at / BLOCKS_PER_GROUP);
      const stop = Math.min(end, (group + 1) * BLOCKS_PER_GROUP);
      freeBlocks[group]! += stop - at;
      at = stop;
    }
  }
  for (let group = 0; group < groups; group++) {
    const used = Math.min(inodesPerGroup, Math.max(0, lastInode - group * inodesPerGroup));
    usedInodes[group] = used;
    const untouched = freeBlocks[group] === blocksInGroup(geometry, group) - backupBlocks(geometry, group);
    flags[group] = (used === 0 ? INODE_UNINIT : 0) | (untouched && group > 0 && group < groups - 1 ? BLOCK_UNINIT : 0);
  }
  return { freeBlocks, usedInodes, directories: new Uint32Array(groups), flags };
}

/** The bitmap of a group's blocks: a set bit is in use, and so is what lies behind the end of the last group. */
export function encodeBlockBitmap(layout: Layout, frontier: number, group: number): Uint8Array {
  const bitmap = new Uint8Array(BLOCK_SIZE).fill(0xff);
  const first = group * BLOCKS_PER_GROUP;
  for (const { start, end } of layout.free.from(frontier)) {
    if (end <= first) continue;
    if (start >= first + BLOCKS_PER_GROUP) break;
    clearBits(bitmap, Math.max(start, first) - first, Math.min(end, first + BLOCKS_PER_GROUP) - first);
  }
  return bitmap;
}

/** The bitmap of a group's inodes; bits behind the last inode of the group are set. */
export function encodeInodeBitmap(inodesPerGroup: number, used: number): Uint8Array {
  const bitmap = new Uint8Array(BLOCK_SIZE).fill(0xff);
  clearBits(bitmap, used, inodesPerGroup);
  return bitmap;
}

function clearBits(bitmap: Uint8Array, from: number, to: number): void {
  for (let bit = from; bit < to;) {
    if ((bit & 7) === 0 && bit + 8 <= to) {
      const bytes = (to - bit) >>> 3;
      bitmap.fill(0, bit >>> 3, (bit >>> 3) + bytes);
      bit += bytes * 8;
    } else {
      bitmap[bit >>> 3]! &= ~(1 << (bit & 7));
      bit++;
    }
  }
}

/** The group descriptors, `ext4_group_desc` of 64 bytes each, in whole blocks. `bitmapOf` gives a bitmap that is written. */
export function encodeGroupDescriptors(
  layout: Layout,
  use: GroupUse,
  seed: number,
  blockBitmapOf: (group: number) => Uint8Array,
  inodeBitmapOf: (group: number) => Uint8Array,
): Uint8Array {
  const { groups, inodesPerGroup, descriptorBlocks } = layout.geometry;
  const bytes = new Uint8Array(descriptorBlocks * BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  for (let group = 0; group < groups; group++) {
    const at = group * DESCRIPTOR_SIZE;
    const flags = use.flags[group]!;
    const split = (low: number, high: number, value: number) => {
      view.setUint16(at + low, value & 0xffff, true);
      view.setUint16(at + high, value >>> 16, true);
    };
    // addresses are below 2^32: the words for their upper halves stay 0
    view.setUint32(at, layout.blockBitmap[group]!, true);
    view.setUint32(at + 0x4, layout.inodeBitmap[group]!, true);
    view.setUint32(at + 0x8, layout.inodeTable[group]!, true);
    split(0xc, 0x2c, use.freeBlocks[group]!);
    split(0xe, 0x2e, inodesPerGroup - use.usedInodes[group]!);
    split(0x10, 0x30, use.directories[group]!);
    view.setUint16(at + 0x12, flags, true);
    if (!(flags & BLOCK_UNINIT)) split(0x18, 0x38, crc32c(seed, blockBitmapOf(group)));
    if (!(flags & INODE_UNINIT)) split(0x1a, 0x3a, crc32c(seed, inodeBitmapOf(group), 0, inodesPerGroup / 8));
    split(0x1c, 0x32, inodesPerGroup - use.usedInodes[group]!); // bg_itable_unused
    const checksum = crc32c(crc32cOfNumber(seed, group), bytes, at, at + DESCRIPTOR_SIZE);
    view.setUint16(at + 0x1e, checksum & 0xffff, true);
  }
  return bytes;
}
