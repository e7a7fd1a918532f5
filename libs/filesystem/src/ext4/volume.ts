import type { HashSeed } from './directory-hash.ts';
import type { Contents, Placement } from './placement.ts';
import { FIRST_INODE } from './geometry.ts';
import { ROOT_ROW } from './tree-table.ts';

/** Inode 2; the reserved inodes 7 and 8 own the reserved descriptors and the journal (special_inodes.rst). */
const ROOT_INODE = 2;
export const RESIZE_INODE = 7;
export const JOURNAL_INODE = 8;

/** A file system that is ready to be written: what it holds, where, and its names. */
export interface Volume {
  readonly contents: Contents;
  readonly placement: Placement;
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly hashWords: HashSeed;
  readonly label: Uint8Array;
  readonly epoch: number;
  /** Seed of all metadata checksums: crc32c of the UUID. */
  readonly checksumSeed: number;
}

/** Number on the disk of the inode of a row: the root has a fixed one, the others follow in the order of the tree. */
export function inodeNumber(row: number): number {
  return row === ROOT_ROW ? ROOT_INODE : FIRST_INODE - 1 + row;
}

/** Inodes 1 to this one are in use. */
export function lastInode({ table }: Contents): number {
  return inodeNumber(table.inodes.mode.length - 1);
}
