/** Bytes of a block. Every size and address below counts in blocks of this size. */
export const BLOCK_SIZE = 4096;

/** A bitmap is one block, a bit a block: 8 × 4096 (Documentation/filesystems/ext4/blockgroup.rst). */
export const BLOCKS_PER_GROUP = 8 * BLOCK_SIZE;

/** Inodes of a group have one bitmap, too. */
const MAX_INODES_PER_GROUP = 8 * BLOCK_SIZE;

export const INODE_SIZE = 256;
export const INODES_PER_BLOCK = BLOCK_SIZE / INODE_SIZE;

/** `s_first_ino`: inodes 1 to 10 have fixed uses (Documentation/filesystems/ext4/special_inodes.rst). */
export const FIRST_INODE = 11;

/** Bytes of a group descriptor with the feature 64bit. */
export const DESCRIPTOR_SIZE = 64;
const DESCRIPTORS_PER_BLOCK = BLOCK_SIZE / DESCRIPTOR_SIZE;

/** `2 ^ s_log_groups_per_flex`: bitmaps and inode tables of 16 groups lie together. */
export const GROUPS_PER_FLEX = 16;

/** One free inode for each 16 KiB that files leave free: the `inode_ratio` of mke2fs.conf. */
const BYTES_PER_INODE = 16384;

/** The resize inode lists reserved descriptor blocks in one block of 32-bit addresses. */
const MAX_RESERVED_DESCRIPTOR_BLOCKS = BLOCK_SIZE / 4;

/** A last group with fewer free blocks than this is left off, as mke2fs does (lib/ext2fs/initialize.c). */
const MIN_LAST_GROUP_ROOM = 50;

/** Block addresses are kept in 32 bits here: below 16 TiB. */
export const MAX_BLOCKS = 2 ** 32 - 1;

/** The numbers from which the place of every metadata block follows. Sizes in blocks unless named otherwise. */
export interface Geometry {
  readonly blocks: number;
  readonly groups: number;
  readonly inodesPerGroup: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBlocks: number;
  /** Kept free behind the descriptors, in every group with a backup, so that the file system can grow while mounted. */
  readonly reservedDescriptorBlocks: number;
  readonly journalBlocks: number;
}

export interface GeometryNeeds {
  /** Inodes in use, reserved ones included, and inodes that at least must be free. */
  readonly usedInodes: number;
  readonly freeInodes: number;
  /** Blocks that files take, as far as it is known. */
  readonly contentBlocks: number;
  readonly growthFactor: number;
  /** Blocks of the journal; absent: as mke2fs chooses by the size of the file system. */
  readonly journalBlocks?: number;
}

/** Geometry of a file system of at most `blocks` blocks; fewer when the last group would be too small to be of use. */
export function chooseGeometry(blocks: number, needs: GeometryNeeds): Geometry {
  const journalBlocks = needs.journalBlocks ?? defaultJournalBlocks(blocks);
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
  const freeBytes = Math.max(0, blocks - needs.contentBlocks) * BLOCK_SIZE;
  const inodes = needs.usedInodes + Math.max(needs.freeInodes, Math.ceil(freeBytes / BYTES_PER_INODE));
  const inodesPerGroup = Math.min(
    MAX_INODES_PER_GROUP,
    Math.ceil(inodes / groups / INODES_PER_BLOCK) * INODES_PER_BLOCK,
  );
  const descriptorBlocks = Math.ceil(groups / DESCRIPTORS_PER_BLOCK);
  const grownGroups = Math.ceil((blocks * needs.growthFactor) / BLOCKS_PER_GROUP);
  const geometry: Geometry = {
    blocks,
    groups,
    inodesPerGroup,
    inodeTableBlocks: inodesPerGroup / INODES_PER_BLOCK,
    descriptorBlocks,
    reservedDescriptorBlocks:
      needs.growthFactor <= 1
        ? 0
        : Math.min(
            MAX_RESERVED_DESCRIPTOR_BLOCKS,
            Math.max(1, Math.ceil(grownGroups / DESCRIPTORS_PER_BLOCK) - descriptorBlocks),
          ),
    journalBlocks,
  };
  const room = blocks - (groups - 1) * BLOCKS_PER_GROUP - lastGroupOverhead(geometry);
  if (groups > 1 && room < MIN_LAST_GROUP_ROOM) return chooseGeometry((groups - 1) * BLOCKS_PER_GROUP, needs);
  return geometry;
}

/** The smallest number of blocks above `blocks` whose last group is large enough to be kept. */
export function nextUsableSize(blocks: number, needs: GeometryNeeds): number {
  for (let size = blocks + 1; ; size += MIN_LAST_GROUP_ROOM) {
    if (chooseGeometry(size, needs).blocks > blocks) return size;
  }
}

/** Blocks below which the inodes that are needed cannot exist, however empty they are. */
export function blocksForInodes({ usedInodes, freeInodes }: GeometryNeeds): number {
  const inodes = usedInodes + freeInodes;
  const fullGroups = Math.floor((inodes - 1) / MAX_INODES_PER_GROUP);
  return fullGroups * BLOCKS_PER_GROUP + Math.ceil((inodes - fullGroups * MAX_INODES_PER_GROUP) / INODES_PER_BLOCK);
}

export function inodeCapacity({ groups, inodesPerGroup }: Geometry): number {
  return groups * inodesPerGroup;
}

/** Blocks in a group: the last one may be shorter. */
export function blocksInGroup({ blocks }: Geometry, group: number): number {
  return Math.min(BLOCKS_PER_GROUP, blocks - group * BLOCKS_PER_GROUP);
}

/** sparse_super: groups 0 and 1 and powers of 3, 5 and 7 hold a superblock and descriptors (blockgroup.rst). */
export function hasSuperblock(group: number): boolean {
  return group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

/** Superblock, descriptors and reserved descriptors at the start of a group. */
export function backupBlocks(geometry: Geometry, group: number): number {
  return hasSuperblock(group) ? 1 + geometry.descriptorBlocks + geometry.reservedDescriptorBlocks : 0;
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

function lastGroupOverhead(geometry: Geometry): number {
  return backupBlocks(geometry, geometry.groups - 1) + 2 + geometry.inodeTableBlocks;
}

/** lib/ext2fs/mkjournal.c `ext2fs_default_journal_size`: too small for a journal below 2048 blocks. */
function defaultJournalBlocks(blocks: number): number {
  const steps = [
    [2048, 0], [32768, 1024], [256 * 1024, 4096], [512 * 1024, 8192], [4096 * 1024, 16384], [8192 * 1024, 32768],
    [16384 * 1024, 65536], [32768 * 1024, 131072],
  ] as const; // prettier-ignore
  return steps.find(([below]) => blocks < below)?.[1] ?? 262144;
}
