import { BLOCKS_PER_GROUP, BLOCK_SIZE, hasSuperblock, type Geometry } from './geometry.ts';

/** 32-bit block addresses in one block. */
const ADDRESSES = BLOCK_SIZE / 4;

/** Size of inode 7: all that direct, indirect and doubly indirect blocks map (lib/ext2fs/res_gdt.c). */
export const RESIZE_INODE_SIZE = (12 + ADDRESSES + ADDRESSES * ADDRESSES) * BLOCK_SIZE;

/**
 * The resize inode owns the reserved descriptor blocks: its doubly indirect block lists those of group 0, and each of
 * these lists the blocks at the same place in the groups with a copy (fs/ext4/resize.c `verify_reserved_gdb`).
 */
export interface ResizeBlocks {
  /** The doubly indirect block. */
  readonly addresses: Uint8Array;
  /** What all reserved blocks hold, less their distance: block `n` of them adds n to each address that is not 0. */
  readonly copies: readonly number[];
  /** Blocks that the inode owns. */
  readonly blocks: number;
}

export function resizeBlocks(geometry: Geometry): ResizeBlocks {
  const { descriptorBlocks, reservedDescriptorBlocks, groups } = geometry;
  const addresses = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(addresses.buffer);
  for (let block = 0; block < reservedDescriptorBlocks; block++) {
    const descriptor = descriptorBlocks + block;
    view.setUint32((descriptor % ADDRESSES) * 4, 1 + descriptor, true);
  }
  const copies: number[] = [];
  for (let group = 1; group < groups; group++) {
    if (hasSuperblock(group)) copies.push(group * BLOCKS_PER_GROUP + 1 + descriptorBlocks);
  }
  return { addresses, copies, blocks: 1 + reservedDescriptorBlocks * (1 + copies.length) };
}

/** The n-th reserved descriptor block of group 0. */
export function encodeReservedBlock({ copies }: ResizeBlocks, index: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  copies.forEach((copy, at) => view.setUint32(at * 4, copy + index, true));
  return bytes;
}
