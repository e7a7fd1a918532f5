import {
  BLOCKS_PER_GROUP, GROUPS_PER_FLEX, backupBlocks, blocksInGroup, hasSuperblock, type Geometry,
} from './geometry.ts'; // prettier-ignore
import { FreeRuns } from './free-runs.ts';

/** Where the metadata of every group lies, and which blocks are left for files. Addresses in blocks. */
export interface Layout {
  readonly geometry: Geometry;
  readonly blockBitmap: Uint32Array;
  readonly inodeBitmap: Uint32Array;
  readonly inodeTable: Uint32Array;
  /** What is not metadata of a group, in ascending order. Files fill it from its start. */
  readonly free: FreeRuns;
}

/**
 * Places bitmaps and inode tables as flex_bg does: those of 16 groups together, behind the superblock copy of the first
 * of them, around the copies of the others. Nothing when the file system is too small to hold them.
 */
export function layOut(geometry: Geometry): Layout | undefined {
  const { groups, inodeTableBlocks } = geometry;
  const blockBitmap = new Uint32Array(groups);
  const inodeBitmap = new Uint32Array(groups);
  const inodeTable = new Uint32Array(groups);
  /** Occupied ranges `start, end, start, end, …` in ascending order. */
  const occupied: number[] = [];

  for (let first = 0; first < groups; first += GROUPS_PER_FLEX) {
    const last = Math.min(first + GROUPS_PER_FLEX, groups) - 1;
    const copies: number[] = [];
    for (let group = first; group <= last; group++) {
      const start = group * BLOCKS_PER_GROUP;
      if (hasSuperblock(group)) copies.push(start, start + backupBlocks(geometry, group));
    }
    const end = last * BLOCKS_PER_GROUP + blocksInGroup(geometry, last);
    const place = placer(first * BLOCKS_PER_GROUP, copies, occupied);
    for (let group = first; group <= last; group++) blockBitmap[group] = place.take(1);
    for (let group = first; group <= last; group++) inodeBitmap[group] = place.take(1);
    for (let group = first; group <= last; group++) inodeTable[group] = place.take(inodeTableBlocks);
    if (place.finish() > end) return undefined;
  }
  return { geometry, blockBitmap, inodeBitmap, inodeTable, free: complement(occupied, geometry.blocks) };
}

/** Takes runs of blocks from `cursor` on, never over one of `copies`; notes both in `occupied`. */
function placer(cursor: number, copies: readonly number[], occupied: number[]) {
  let next = 0;
  const skip = () => {
    occupied.push(copies[next]!, copies[next + 1]!);
    cursor = Math.max(cursor, copies[next + 1]!);
    next += 2;
  };
  return {
    take(blocks: number): number {
      while (next < copies.length && cursor + blocks > copies[next]!) skip();
      const start = cursor;
      cursor += blocks;
      occupied.push(start, cursor);
      return start;
    },
    /** End of the last block that was taken. */
    finish(): number {
      const end = cursor;
      while (next < copies.length) skip();
      return end;
    },
  };
}

function complement(occupied: readonly number[], blocks: number): FreeRuns {
  const runs = new FreeRuns();
  let at = 0;
  for (let index = 0; index < occupied.length; index += 2) {
    if (occupied[index]! > at) runs.push(at, occupied[index]! - at);
    at = Math.max(at, occupied[index + 1]!);
  }
  if (blocks > at) runs.push(at, blocks - at);
  return runs;
}
