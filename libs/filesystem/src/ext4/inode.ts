import { INODE_SIZE } from './geometry.ts';
import { afterZeros, crc32c, crc32cOfNumber } from './crc32c.ts';

/** `i_flags` (Documentation/filesystems/ext4/inodes.rst): a hash-indexed directory; extents in `i_block`. */
export const INDEX_FLAG = 0x1000;
export const EXTENTS_FLAG = 0x80000;

/** Positions in an inode. */
export const I_BLOCK = 0x28;
export const INLINE_XATTRS = 0xa0;

/** `i_extra_isize`: fields from 0x80 up to and with `i_projid`. */
const EXTRA_SIZE = 32;

const SECTORS_PER_BLOCK = 4096 / 512;

export interface InodeFields {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** All four times of the inode: seconds and the extra word of inode-time.ts. */
  readonly time: number;
  readonly timeExtra: number;
  readonly links: number;
  readonly flags: number;
  /** Blocks that the inode owns: data, tree, attributes. */
  readonly blocks: number;
  /** Block of its attributes, or 0. */
  readonly xattrBlock: number;
}

/** Fills the 256 zero bytes at `at`, all but `i_block`, attributes and checksum. */
export function encodeInode(view: DataView, at: number, inode: InodeFields): void {
  const sectors = inode.blocks * SECTORS_PER_BLOCK;
  view.setUint16(at, inode.mode, true);
  view.setUint16(at + 0x2, inode.uid & 0xffff, true);
  view.setUint32(at + 0x4, inode.size >>> 0, true);
  view.setUint32(at + 0x8, inode.time, true); // i_atime
  view.setUint32(at + 0xc, inode.time, true); // i_ctime
  view.setUint32(at + 0x10, inode.time, true); // i_mtime
  view.setUint16(at + 0x18, inode.gid & 0xffff, true);
  view.setUint16(at + 0x1a, inode.links, true);
  view.setUint32(at + 0x1c, sectors >>> 0, true);
  view.setUint32(at + 0x20, inode.flags, true);
  view.setUint32(at + 0x68, inode.xattrBlock, true); // i_file_acl_lo
  view.setUint32(at + 0x6c, Math.floor(inode.size / 2 ** 32), true);
  view.setUint16(at + 0x74, Math.floor(sectors / 2 ** 32), true); // l_i_blocks_high
  view.setUint16(at + 0x78, inode.uid >>> 16, true);
  view.setUint16(at + 0x7a, inode.gid >>> 16, true);
  view.setUint16(at + 0x80, EXTRA_SIZE, true);
  view.setUint32(at + 0x84, inode.timeExtra, true); // i_ctime_extra
  view.setUint32(at + 0x88, inode.timeExtra, true); // i_mtime_extra
  view.setUint32(at + 0x8c, inode.timeExtra, true); // i_atime_extra
  view.setUint32(at + 0x90, inode.time, true); // i_crtime
  view.setUint32(at + 0x94, inode.timeExtra, true); // i_crtime_extra
}

/** Seed of the checksums of an inode, its extent tree and its directory blocks; the generation is always 0. */
export function inodeSeed(seed: number, number: number): number {
  return crc32cOfNumber(crc32cOfNumber(seed, number), 0);
}

const afterNoXattrs = afterZeros(INODE_SIZE - INLINE_XATTRS);

/** Sets the checksum, when all else is in place: the lower half at 0x7c, the upper half at 0x82. `hasXattrs`: some lie in the inode. */
export function sealInode(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  seedOfInode: number,
  hasXattrs: boolean,
): void {
  const checksum = hasXattrs
    ? crc32c(seedOfInode, bytes, at, at + INODE_SIZE)
    : afterNoXattrs(crc32c(seedOfInode, bytes, at, at + INLINE_XATTRS));
  view.setUint16(at + 0x7c, checksum & 0xffff, true);
  view.setUint16(at + 0x82, checksum >>> 16, true);
}
