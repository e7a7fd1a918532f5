import {
  BLOCKS_PER_GROUP,
  DESCRIPTOR_SIZE,
  FIRST_INODE,
  INODE_SIZE,
  inodeCapacity,
  type Geometry,
} from './geometry.ts';
import { CRC_START, crc32c } from './crc32c.ts';

/** Position of the superblock in the block that holds it: the first KiB of the disk is left for boot loaders. */
export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_SIZE = 1024;

/** Features (Documentation/filesystems/ext4/super.rst). A kernel that lacks one ignores it, refuses, or mounts read-only. */
const HAS_JOURNAL = 0x4;
const RESIZE_INODE = 0x10;
const COMPAT = 0x8 /* ext_attr */ | 0x20; /* dir_index */
const INCOMPAT = 0x2 /* filetype */ | 0x40 /* extents */ | 0x80 /* 64bit */ | 0x200; /* flex_bg */
const RO_COMPAT =
  0x1 /* sparse_super */ |
  0x2 /* large_file */ |
  0x8 /* huge_file */ |
  0x20 /* dir_nlink */ |
  0x40 /* extra_isize */ |
  0x400; /* metadata_csum */

/** What the superblock tells besides the geometry. */
export interface SuperblockFields {
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly label: Uint8Array;
  readonly epoch: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly overheadBlocks: number;
  /** `i_block` and size of the journal inode, kept a second time here; absent without a journal. */
  readonly journal?: { readonly map: Uint8Array; readonly size: number };
}

/** The superblock as it lies in `group`: the copies differ by the number of their group. Positions as in super.rst. */
export function encodeSuperblock(geometry: Geometry, fields: SuperblockFields, group: number): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const { epoch, journal } = fields;
  u32(0x0, inodeCapacity(geometry));
  u32(0x4, geometry.blocks); // s_blocks_count_lo; below 2^32. Reserved blocks for root (0x8): none
  u32(0xc, fields.freeBlocks);
  u32(0x10, fields.freeInodes);
  u32(0x18, 2); // s_log_block_size: 2 ^ (10 + 2)
  u32(0x1c, 2); // s_log_cluster_size
  u32(0x20, BLOCKS_PER_GROUP);
  u32(0x24, BLOCKS_PER_GROUP); // s_clusters_per_group
  u32(0x28, geometry.inodesPerGroup);
  u32(0x30, epoch); // s_wtime
  u16(0x36, 0xffff); // s_max_mnt_count: no check after so many mounts
  u16(0x38, 0xef53); // s_magic
  u16(0x3a, 1); // s_state: cleanly unmounted
  u16(0x3c, 1); // s_errors: continue
  u32(0x40, epoch); // s_lastcheck
  u32(0x4c, 1); // s_rev_level: dynamic
  u32(0x54, FIRST_INODE);
  u16(0x58, INODE_SIZE);
  u16(0x5a, group); // s_block_group_nr
  u32(0x5c, COMPAT | (journal ? HAS_JOURNAL : 0) | (geometry.reservedDescriptorBlocks > 0 ? RESIZE_INODE : 0));
  u32(0x60, INCOMPAT);
  u32(0x64, RO_COMPAT);
  bytes.set(fields.uuid, 0x68);
  bytes.set(fields.label, 0x78);
  u16(0xce, geometry.reservedDescriptorBlocks);
  if (journal) {
    u32(0xe0, 8); // s_journal_inum
    bytes[0xfd] = 1; // s_jnl_backup_type: s_jnl_blocks holds a copy of the journal's i_block and size
    bytes.set(journal.map, 0x10c);
    u32(0x148, Math.floor(journal.size / 2 ** 32));
    u32(0x14c, journal.size >>> 0);
  }
  bytes.set(fields.hashSeed, 0xec);
  bytes[0xfc] = 1; // s_def_hash_version: half MD4
  u16(0xfe, DESCRIPTOR_SIZE);
  u32(0x100, 0x4 | 0x8); // s_default_mount_opts: user_xattr, acl
  u32(0x108, epoch); // s_mkfs_time
  u16(0x15c, 32); // s_min_extra_isize
  u16(0x15e, 32); // s_want_extra_isize
  u32(0x160, 0x2); // s_flags: unsigned directory hash
  bytes[0x174] = 4; // s_log_groups_per_flex: 16
  bytes[0x175] = 1; // s_checksum_type: crc32c
  u32(0x248, fields.overheadBlocks);
  u32(0x3fc, crc32c(CRC_START, bytes, 0, 0x3fc));
  return bytes;
}
