import type { ByteRange, RandomWriter } from '@boxship/model';
import { writeDirectories } from './directory-writer.ts';
import { S_IFLNK, fileType } from './file-mode.ts';
import { BLOCKS_PER_GROUP, BLOCK_SIZE, INODES_PER_BLOCK, hasSuperblock, inodeCapacity } from './geometry.ts';
import {
  BLOCK_UNINIT, INODE_UNINIT, encodeBlockBitmap, encodeGroupDescriptors, encodeInodeBitmap, groupUse, type GroupUse,
} from './group-descriptor.ts'; // prettier-ignore
import { writeInodes } from './inode-writer.ts';
import { encodeJournalSuperblock } from './journal.ts';
import { encodeReservedBlock, resizeBlocks } from './resize-inode.ts';
import { SUPERBLOCK_OFFSET, encodeSuperblock } from './superblock.ts';
import { FAST_SYMLINK_MAX } from './tree-table.ts';
import { inodeNumber, lastInode, type Volume } from './volume.ts';
import { WriteBuffer } from './write-buffer.ts';
import { XATTR_REFCOUNT_MAX, sealXattrBlock } from './xattr.ts';

/** Writes everything but the bytes of regular files. What stays zero is not written. */
export async function writeMetadata(volume: Volume, target: RandomWriter): Promise<void> {
  const out = new WriteBuffer(target);
  const { placement, contents } = volume;
  const use = groupUse(placement.layout, placement.end, lastInode(contents));
  countDirectories(volume, use);
  const journalMap = await writeInodes(volume, out);
  await writeGroups(volume, use, journalMap, out);
  await writeDirectories(volume, out);
  await writeSymlinks(volume, out);
  await writeXattrs(volume, out);
  await out.end();
  await extend(volume, use, target);
}

/** What must reach the device, ascending: all blocks in use, and the bitmaps and inode tables that are not UNINIT. */
export function mappedRanges({ placement, contents }: Volume): ByteRange[] {
  const { layout } = placement;
  const { geometry } = layout;
  const use = groupUse(layout, placement.end, lastInode(contents));
  const ranges: { start: number; end: number }[] = [];
  const add = (start: number, blocks: number) => {
    if (blocks > 0) ranges.push({ start: start * BLOCK_SIZE, end: (start + blocks) * BLOCK_SIZE });
  };
  for (let group = 0; group < geometry.groups; group++) {
    // the reserved blocks of group 0 hold addresses; those of the copies hold nothing until the file system grows
    const reserved = group === 0 ? geometry.reservedDescriptorBlocks : 0;
    if (hasSuperblock(group)) add(group * BLOCKS_PER_GROUP, 1 + geometry.descriptorBlocks + reserved);
    if (!(use.flags[group]! & BLOCK_UNINIT)) add(layout.blockBitmap[group]!, 1);
    if (!(use.flags[group]! & INODE_UNINIT)) add(layout.inodeBitmap[group]!, 1);
    add(layout.inodeTable[group]!, Math.ceil(use.usedInodes[group]! / INODES_PER_BLOCK));
  }
  const cursor = layout.free.cursor();
  for (let block = 0; block < placement.end;) {
    const length = Math.min(cursor.left(block), placement.end - block);
    add(cursor.locate(block), length);
    block += length;
  }
  ranges.sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last && last.end === range.start) last.end = range.end;
    else merged.push(range);
  }
  return merged;
}

function countDirectories({ contents, placement }: Volume, use: GroupUse): void {
  const { directories } = contents.table;
  for (let directory = 0; directory < directories.inode.length; directory++) {
    const number = inodeNumber(directories.inode.get(directory));
    use.directories[Math.floor((number - 1) / placement.layout.geometry.inodesPerGroup)]!++;
  }
}

function freeBlocksOf(use: GroupUse): number {
  return use.freeBlocks.reduce((sum, blocks) => sum + blocks, 0);
}

/** Superblocks, descriptors, bitmaps, journal, resize inode. */
async function writeGroups(volume: Volume, use: GroupUse, journalMap: Uint8Array, out: WriteBuffer): Promise<void> {
  const { placement, contents, checksumSeed } = volume;
  const { layout } = placement;
  const { geometry } = layout;
  const put = async (block: number, bytes: Uint8Array, offset = 0) => {
    await out.add(block * BLOCK_SIZE + offset, bytes, 0, bytes.length);
  };
  const blockBitmap = (group: number) => encodeBlockBitmap(layout, placement.end, group);
  const inodeBitmap = (group: number) => encodeInodeBitmap(geometry.inodesPerGroup, use.usedInodes[group]!);
  const descriptors = encodeGroupDescriptors(layout, use, checksumSeed, blockBitmap, inodeBitmap);
  const resize = resizeBlocks(geometry);
  const cursor = layout.free.cursor();
  const journal = geometry.journalBlocks > 0;
  const fields = {
    ...volume,
    freeBlocks: freeBlocksOf(use),
    freeInodes: inodeCapacity(geometry) - lastInode(contents),
    overheadBlocks: geometry.blocks - layout.free.total + geometry.journalBlocks,
    ...(journal ? { journal: { map: journalMap, size: geometry.journalBlocks * BLOCK_SIZE } } : {}),
  };
  for (let group = 0; group < geometry.groups; group++) {
    if (!(use.flags[group]! & BLOCK_UNINIT)) await put(layout.blockBitmap[group]!, blockBitmap(group));
    if (!(use.flags[group]! & INODE_UNINIT)) await put(layout.inodeBitmap[group]!, inodeBitmap(group));
    if (!hasSuperblock(group)) continue;
    const start = group * BLOCKS_PER_GROUP;
    const superblock = encodeSuperblock(geometry, fields, group);
    if (group === 0) {
      // the first KiB is for boot loaders, the superblock follows; in a copy it comes first
      await put(start, superblock, SUPERBLOCK_OFFSET);
    } else {
      await put(start, superblock);
    }
    for (let at = 0; at < descriptors.length; at += BLOCK_SIZE) {
      await put(start + 1 + at / BLOCK_SIZE, descriptors.subarray(at, at + BLOCK_SIZE));
    }
  }
  if (journal) {
    await put(cursor.locate(placement.journal), encodeJournalSuperblock(geometry.journalBlocks, volume.uuid));
  }
  if (geometry.reservedDescriptorBlocks > 0) {
    await put(cursor.locate(placement.resize), resize.addresses);
    if (resize.copies.length > 0) {
      for (let index = 0; index < geometry.reservedDescriptorBlocks; index++) {
        await put(1 + geometry.descriptorBlocks + index, encodeReservedBlock(resize, index));
      }
    }
  }
}

/** Targets that do not fit into their inode: a block each. */
async function writeSymlinks({ contents, placement }: Volume, out: WriteBuffer): Promise<void> {
  const { inodes, text } = contents.table;
  const cursor = placement.layout.free.cursor();
  const bytes = new Uint8Array(BLOCK_SIZE);
  if (contents.table.symlinkBlocks === 0) return;
  for (let row = 0; row < inodes.mode.length; row++) {
    const length = inodes.size.get(row);
    if (fileType(inodes.mode.get(row)) !== S_IFLNK || length <= FAST_SYMLINK_MAX) continue;
    bytes.fill(0);
    bytes.set(text.bytes(inodes.detail.get(row), length));
    await out.add(cursor.locate(placement.symlinks + inodes.block.get(row)) * BLOCK_SIZE, bytes, 0, BLOCK_SIZE);
  }
}

async function writeXattrs({ contents, placement, checksumSeed }: Volume, out: WriteBuffer): Promise<void> {
  const { xattrBlocks, xattrUses, table } = contents;
  const cursor = placement.layout.free.cursor();
  for (let set = 0; set < xattrUses.length; set++) {
    const bytes = table.xattrs.blockBytes(set).slice();
    let uses = xattrUses[set]!;
    for (let block = xattrBlocks[set]!; block < xattrBlocks[set + 1]!; block++) {
      const diskBlock = cursor.locate(placement.xattrs + block);
      const here = Math.min(uses, XATTR_REFCOUNT_MAX);
      sealXattrBlock(bytes, here, diskBlock, checksumSeed);
      await out.add(diskBlock * BLOCK_SIZE, bytes, 0, BLOCK_SIZE);
      uses -= here;
    }
  }
}

/** Makes the file as long as the file system, unless its last block holds data that somebody else writes. */
async function extend({ placement }: Volume, use: GroupUse, target: RandomWriter): Promise<void> {
  const { geometry } = placement.layout;
  if (use.freeBlocks[geometry.groups - 1]! > 0) await target.write(geometry.blocks * BLOCK_SIZE - 1, new Uint8Array(1));
}
