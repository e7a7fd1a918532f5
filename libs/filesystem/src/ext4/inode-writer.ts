import { ExtentList, writeExtentTree } from './extent-tree.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, fileType, isDevice, isOldDevice } from './file-mode.ts';
import { BLOCK_SIZE, FIRST_INODE, INODES_PER_BLOCK, INODE_SIZE } from './geometry.ts';
import { EXTENTS_FLAG, INDEX_FLAG, INLINE_XATTRS, I_BLOCK, encodeInode, inodeSeed, sealInode } from './inode.ts';
import { encodeTime } from './inode-time.ts';
import { JOURNAL, listExtents } from './placement.ts';
import { RESIZE_INODE_SIZE, resizeBlocks } from './resize-inode.ts';
import { FAST_SYMLINK_MAX, LINK_MAX, ROOT_ROW } from './tree-table.ts';
import { JOURNAL_INODE, RESIZE_INODE, inodeNumber, lastInode, type Volume } from './volume.ts';
import type { WriteBuffer } from './write-buffer.ts';
import { XATTR_REFCOUNT_MAX } from './xattr.ts';

/** `i_block` of the journal inode: the superblock keeps a copy of it. */
export type JournalMap = Uint8Array;

/** Writes the inode tables as far as inodes are in use, and the blocks of extent trees. */
export async function writeInodes(volume: Volume, out: WriteBuffer): Promise<JournalMap> {
  const { contents, placement, checksumSeed } = volume;
  const { geometry, inodeTable } = placement.layout;
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  const encoder = inodeEncoder(volume, bytes, view);
  const last = lastInode(contents);
  let journalMap: JournalMap = new Uint8Array(60);
  for (let first = 1; first <= last; first += INODES_PER_BLOCK) {
    bytes.fill(0);
    for (let number = first; number < first + INODES_PER_BLOCK && number <= last; number++) {
      const at = (number - first) * INODE_SIZE;
      let hasXattrs = false;
      // a reserved inode that is not in use is all zeros, its checksum too
      if (number === JOURNAL_INODE && geometry.journalBlocks > 0) journalMap = encoder.journal(at);
      else if (number === RESIZE_INODE && geometry.reservedDescriptorBlocks > 0) encoder.resize(at);
      else if (number === inodeNumber(ROOT_ROW)) hasXattrs = encoder.row(ROOT_ROW, at);
      else if (number >= FIRST_INODE) hasXattrs = encoder.row(number - FIRST_INODE + 1, at);
      else continue;
      sealInode(bytes, view, at, inodeSeed(checksumSeed, number), hasXattrs);
    }
    const group = Math.floor((first - 1) / geometry.inodesPerGroup);
    const block = inodeTable[group]! + ((first - 1) % geometry.inodesPerGroup) / INODES_PER_BLOCK;
    const full = out.add(block * BLOCK_SIZE, bytes, 0, BLOCK_SIZE);
    if (full) await full;
    for (const tree of encoder.takeTreeBlocks()) {
      const wait = out.add(tree.block * BLOCK_SIZE, tree.bytes, 0, BLOCK_SIZE);
      if (wait) await wait;
    }
  }
  return journalMap;
}

function inodeEncoder(volume: Volume, bytes: Uint8Array, view: DataView) {
  const { contents, placement, checksumSeed } = volume;
  const { table } = contents;
  const { inodes, owners, xattrs, text } = table;
  const cursor = placement.layout.free.cursor();
  const blockCursor = placement.layout.free.cursor();
  const extents = new ExtentList();
  /** Inodes that have been given to each set of attributes: a block takes 1024 of them. */
  const xattrUses = new Uint32Array(contents.xattrUses.length);
  let treeBlocks: { block: number; bytes: Uint8Array }[] = [];

  const diskBlock = (spaceBlock: number) => blockCursor.locate(spaceBlock);
  const xattrBlock = (row: number): number => {
    const set = xattrs.block(inodes.xattrs.get(row));
    if (set < 0) return 0;
    const copy = Math.floor(xattrUses[set]!++ / XATTR_REFCOUNT_MAX);
    return diskBlock(placement.xattrs + contents.xattrBlocks[set]! + copy);
  };
  /** Writes the tree of `extents`; returns the blocks it takes. `key`: row of the file, or the journal. */
  const writeTree = (key: number, number: number, at: number): number => {
    const first = placement.treeBlocks.get(key) ?? 0;
    const blockAt = (index: number) => diskBlock(placement.trees + first + index);
    let blocks = 0;
    writeExtentTree(extents, view, at + I_BLOCK, inodeSeed(checksumSeed, number), blockAt, (block, node) => {
      treeBlocks.push({ block, bytes: node });
      blocks++;
    });
    return blocks;
  };
  const special = () => {
    const time = encodeTime(volume.epoch, 0);
    return {
      mode: S_IFREG | 0o600,
      uid: 0,
      gid: 0,
      time: time.seconds,
      timeExtra: time.extra,
      links: 1,
      xattrBlock: 0,
    };
  };

  return {
    /** True when attributes lie in the inode. */
    row(row: number, at: number): boolean {
      const mode = inodes.mode.get(row);
      const type = fileType(mode);
      const number = inodeNumber(row);
      const hasBlocks = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
      let flags = 0;
      let blocks = 0;
      let size = inodes.size.get(row);
      let links = inodes.links.get(row);
      if (hasBlocks) blocks = listExtents(extents, cursor, contents, placement, row);
      if (type === S_IFLNK && size <= FAST_SYMLINK_MAX) {
        bytes.set(text.bytes(inodes.detail.get(row), size), at + I_BLOCK);
      } else if (hasBlocks) {
        flags = EXTENTS_FLAG;
        const data = blocks;
        blocks += writeTree(row, number, at);
        if (type === S_IFDIR) {
          if (contents.directories.isHashed(inodes.detail.get(row))) flags |= INDEX_FLAG;
          size = data * BLOCK_SIZE;
          if (links > LINK_MAX) links = 1; // dir_nlink: too many to be counted
        }
      } else if (isDevice(mode)) {
        const device = inodes.detail.get(row);
        view.setUint32(at + I_BLOCK + (isOldDevice(device) ? 0 : 4), device, true);
      }
      const attributes = xattrBlock(row);
      encodeInode(view, at, {
        mode,
        uid: owners.uid(inodes.owner.get(row)),
        gid: owners.gid(inodes.owner.get(row)),
        size,
        time: inodes.time.get(row),
        timeExtra: inodes.timeExtra.get(row),
        links,
        flags,
        blocks: blocks + (attributes > 0 ? 1 : 0),
        xattrBlock: attributes,
      });
      const inline = xattrs.inline(inodes.xattrs.get(row));
      if (inline) bytes.set(inline, at + INLINE_XATTRS);
      return inline !== undefined;
    },
    journal(at: number): JournalMap {
      const { journalBlocks } = placement.layout.geometry;
      extents.clear();
      extents.add(cursor, 0, placement.journal, journalBlocks);
      const blocks = journalBlocks + writeTree(JOURNAL, JOURNAL_INODE, at);
      encodeInode(view, at, { ...special(), size: journalBlocks * BLOCK_SIZE, flags: EXTENTS_FLAG, blocks });
      return bytes.slice(at + I_BLOCK, at + I_BLOCK + 60);
    },
    resize(at: number): void {
      const { geometry } = placement.layout;
      const doublyIndirect = 13; // EXT4_DIND_BLOCK
      view.setUint32(at + I_BLOCK + doublyIndirect * 4, diskBlock(placement.resize), true);
      encodeInode(view, at, { ...special(), size: RESIZE_INODE_SIZE, flags: 0, blocks: resizeBlocks(geometry).blocks });
    },
    /** Blocks of extent trees since the last call. */
    takeTreeBlocks() {
      if (treeBlocks.length === 0) return treeBlocks;
      const taken = treeBlocks;
      treeBlocks = [];
      return taken;
    },
  };
}
