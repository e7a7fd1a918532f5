import type { ContentSource } from '@boxship/model';
import type { ByteArena } from './byte-arena.ts';
import { float64Column, uint16Column, uint32Column } from './column.ts';
import type { FileRuns } from './file-runs.ts';
import { JoinedColumn } from './joined-column.ts';
import type { NameIndex } from './name-index.ts';
import type { Owners, XattrSets } from './shared-attributes.ts';

/** fs/ext4/ext4.h `EXT4_LINK_MAX` */
export const LINK_MAX = 65000;

/** Targets up to this length lie in `i_block` ("fast symlinks"): 60 bytes, of which the last is 0. */
export const FAST_SYMLINK_MAX = 59;

/** Row of `inodes` that is the root directory, and that of lost+found (inode 11, made when the tree has none). */
export const ROOT_ROW = 0;
export const LOST_FOUND_ROW = 1;

/** Everything of a tree but its bytes, in columns. A row number stands for an inode, a directory or a name. */
export interface TreeTable {
  readonly inodes: InodeColumns;
  readonly directories: DirectoryColumns;
  readonly names: NameIndex;
  /** Names and targets of symlinks. */
  readonly text: ByteArena;
  readonly sources: readonly ContentSource[];
  readonly runs: FileRuns;
  /** Runs of each sparse file, by the row of its inode. */
  readonly sparse: ReadonlyMap<number, number>;
  readonly owners: Owners;
  readonly xattrs: XattrSets;
  /** Blocks that regular files need. */
  readonly dataBlocks: number;
  /** Symlinks whose target does not fit into the inode: a block each. */
  readonly symlinkBlocks: number;
}

export function inodeColumns() {
  return {
    /** st_mode: type and permissions. */
    mode: new JoinedColumn(uint16Column()),
    /** Row in `owners`. */
    owner: new JoinedColumn(uint32Column()),
    time: new JoinedColumn(uint32Column()),
    timeExtra: new JoinedColumn(uint32Column()),
    size: new JoinedColumn(float64Column()),
    links: new JoinedColumn(uint32Column()),
    /** File: position in its source. Symlink: address of its target in `text`. Device: encoded number. Directory: its row. */
    detail: new JoinedColumn(float64Column()),
    /** File: row of its source. */
    source: new JoinedColumn(uint32Column()),
    /** File: first block in data space; sparse: row of its first run. Symlink with a block: number of that block. */
    block: new JoinedColumn(uint32Column()),
    /** Row in `xattrs`. */
    xattrs: new JoinedColumn(uint32Column()),
  };
}

export function directoryColumns() {
  return {
    inode: new JoinedColumn(uint32Column()),
    parent: new JoinedColumn(uint32Column()),
    children: new JoinedColumn(uint32Column()),
  };
}

export type InodeColumns = ReturnType<typeof inodeColumns>;
export type DirectoryColumns = ReturnType<typeof directoryColumns>;
