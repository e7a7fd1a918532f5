import { ExtentList, extentTreeBlocks } from './extent-tree.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, fileType } from './file-mode.ts';
import type { RunCursor } from './free-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';
import type { DirectoryPlan } from './directory-plan.ts';
import type { Layout } from './layout.ts';
import { FAST_SYMLINK_MAX, type TreeTable } from './tree-table.ts';
import { XATTR_REFCOUNT_MAX } from './xattr.ts';

/** A tree, and how its directories are written: all that is known before the size of the file system. */
export interface Contents {
  readonly table: TreeTable;
  readonly directories: DirectoryPlan;
  /** First block of each set of attributes, counted from the first xattr block; one more element ends the last. */
  readonly xattrBlocks: Uint32Array;
  /** Inodes that use each set. */
  readonly xattrUses: Uint32Array;
}

/** Counts the users of each set of attributes. */
export function gatherContents(table: TreeTable, directories: DirectoryPlan): Contents {
  const { inodes, xattrs } = table;
  const xattrUses = new Uint32Array(xattrs.blockCount);
  for (let row = 0; row < inodes.mode.length; row++) {
    const block = xattrs.block(inodes.xattrs.get(row));
    if (block >= 0) xattrUses[block]!++;
  }
  const xattrBlocks = new Uint32Array(xattrUses.length + 1);
  for (let set = 0; set < xattrUses.length; set++) {
    xattrBlocks[set + 1] = xattrBlocks[set]! + Math.ceil(xattrUses[set]! / XATTR_REFCOUNT_MAX);
  }
  return { table, directories, xattrBlocks, xattrUses };
}

/** Blocks of directories, symlinks, attributes and files; those of extent trees depend on the layout. */
export function contentBlocks({ table, directories, xattrBlocks }: Contents): number {
  return directories.blocks.at(-1)! + table.symlinkBlocks + xattrBlocks.at(-1)! + table.dataBlocks;
}

/** Where everything starts in file space, in the order in which it lies there. In blocks. */
export interface Placement {
  readonly layout: Layout;
  readonly journal: number;
  /** Block of addresses of the resize inode. */
  readonly resize: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly xattrs: number;
  readonly data: number;
  readonly trees: number;
  readonly end: number;
  /** First block, counted from `trees`, of the extent tree of each file that has one, by row; the journal is `JOURNAL`. */
  readonly treeBlocks: ReadonlyMap<number, number>;
}

export const JOURNAL = -1;

/** Blocks that are missing, or the placement with what is left. */
export type PlacementResult = { readonly missing: number } | { readonly placement: Placement; readonly free: number };

export function place(contents: Contents, layout: Layout): PlacementResult {
  const { geometry, free } = layout;
  const { inodes } = contents.table;
  const resize = geometry.journalBlocks;
  const directories = resize + (geometry.reservedDescriptorBlocks > 0 ? 1 : 0);
  const symlinks = directories + contents.directories.blocks.at(-1)!;
  const xattrs = symlinks + contents.table.symlinkBlocks;
  const data = xattrs + contents.xattrBlocks.at(-1)!;
  const trees = data + contents.table.dataBlocks;
  if (trees > free.total) return { missing: trees - free.total };

  const bases = { symlinks, directories, data };
  const treeBlocks = new Map<number, number>();
  const cursor = free.cursor();
  const extents = new ExtentList();
  let end = trees;
  const count = (row: number) => {
    const needed = extentTreeBlocks(extents.count);
    if (needed === 0) return;
    treeBlocks.set(row, end - trees);
    end += needed;
  };
  extents.add(cursor, 0, 0, geometry.journalBlocks);
  count(JOURNAL);
  for (let row = 0; row < inodes.mode.length; row++) {
    const type = fileType(inodes.mode.get(row));
    // four extents fit into the inode, so that few blocks never need a tree
    if (type === S_IFREG ? inodes.size.get(row) <= 4 * BLOCK_SIZE : type !== S_IFDIR) continue;
    listExtents(extents, cursor, contents, bases, row);
    count(row);
  }
  if (end > free.total) return { missing: end - free.total };
  return {
    placement: { layout, journal: 0, resize, directories, symlinks, xattrs, data, trees, end, treeBlocks },
    free: free.total - end,
  };
}

/** Fills `extents` with those of one inode; returns its blocks, those of the tree not counted. */
export function listExtents(
  extents: ExtentList,
  cursor: RunCursor,
  { table, directories }: Contents,
  bases: Pick<Placement, 'directories' | 'symlinks' | 'data'>,
  row: number,
): number {
  const { inodes, runs } = table;
  extents.clear();
  const type = fileType(inodes.mode.get(row));
  if (type === S_IFDIR) {
    const directory = inodes.detail.get(row);
    const first = directories.blocks[directory]!;
    const blocks = directories.blocks[directory + 1]! - first;
    extents.add(cursor, 0, bases.directories + first, blocks);
    return blocks;
  }
  if (type === S_IFLNK) {
    if (inodes.size.get(row) <= FAST_SYMLINK_MAX) return 0;
    extents.add(cursor, 0, bases.symlinks + inodes.block.get(row), 1);
    return 1;
  }
  if (type !== S_IFREG) return 0;
  const runCount = table.sparse.get(row);
  if (runCount === undefined) {
    const blocks = Math.ceil(inodes.size.get(row) / BLOCK_SIZE);
    if (blocks > 0) extents.add(cursor, 0, bases.data + inodes.block.get(row), blocks);
    return blocks;
  }
  let blocks = 0;
  const first = inodes.block.get(row);
  for (let run = first; run < first + runCount; run++) {
    extents.add(cursor, runs.fileBlock.get(run), bases.data + runs.spaceBlock.get(run), runs.length.get(run));
    blocks += runs.length.get(run);
  }
  return blocks;
}
