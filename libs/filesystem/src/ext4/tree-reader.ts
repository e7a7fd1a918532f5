import { UserError, liesIn, partsOf, type Tree, type TreeBranch } from '@boxship/model';
import { BranchTables } from './branch-tables.ts';
import { LOST_FOUND, buildTable, isBytes, type TableBuilder } from './table-builder.ts';
import { badTree, showPath } from './tree-error.ts';
import { LOST_FOUND_ROW, ROOT_ROW, type TreeTable } from './tree-table.ts';

/** `EXT4_NAME_LEN` */
const NAME_MAX = 255;

export interface ReadOptions {
  /** Seconds since 1970: times of what no entry gives. */
  readonly epoch: number;
  readonly branches?: BranchTables | undefined;
}

/**
 * Walks a tree once. Errors: BAD_TREE (parent missing or late, duplicate, bad name or link, content that does not fit),
 * NAME_TOO_LONG, SYMLINK_TOO_LONG, TOO_MANY_LINKS, BAD_XATTR, XATTR_TOO_LARGE.
 */
export function readTree(tree: Tree, { epoch, branches = new BranchTables() }: ReadOptions): TreeTable {
  const branchTable = ({ branch }: TreeBranch): TreeTable =>
    branches.get(branch, () => {
      return read(branch, buildTable({ epoch, lostFound: false, expected: branch.entryCount }), branchTable);
    });
  return read(tree, buildTable({ epoch, lostFound: true }), branchTable);
}

function read(tree: Tree, table: TableBuilder, branchTable: (branch: TreeBranch) => TreeTable): TreeTable {
  const given = new Set<string>();
  let parentPath = '';
  let parent = 0;
  for (const part of partsOf(tree)) {
    const { path } = part;
    if (!('branch' in part) && (path === '' || (path === LOST_FOUND && table.lostFound))) {
      // these exist from the start; the tree may give their attributes, once
      if (part.type !== 'directory') throw badTree(path, `is a ${part.type}, must be a directory`);
      if (given.has(path)) throw badTree(path, 'comes twice');
      given.add(path);
      table.setAttributes(path === '' ? ROOT_ROW : LOST_FOUND_ROW, part);
      continue;
    }
    const slash = path.lastIndexOf('/');
    const name = slash < 0 ? path : path.slice(slash + 1);
    // entries of one directory follow one another: most have the parent of the one before
    if (!liesIn(parentPath, path, slash)) {
      const above = slash < 0 ? '' : path.slice(0, slash);
      const inode = table.findPath(above);
      if (inode < 0) throw badTree(path, 'comes before its directory');
      parent = table.directoryOf(inode);
      if (parent < 0) throw badTree(path, 'lies below what is not a directory');
      parentPath = above;
    }
    checkName(path, name);
    if ('branch' in part) table.addBranch(path, parent, name, branchTable(part));
    else if (part.type === 'hardlink') table.addHardLink(parent, name, part);
    else table.addEntry(parent, name, part);
  }
  return table.finish();
}

function checkName(path: string, name: string): void {
  if (name.length > NAME_MAX) {
    throw new UserError(
      'NAME_TOO_LONG',
      `${showPath(path)}: its last part has ${name.length} bytes, ext4 keeps at most ${NAME_MAX}`,
      'Shorten the name of this file, or leave it out.',
    );
  }
  if (path.startsWith('/') || name === '' || name === '.' || name === '..' || name.includes('\0') || !isBytes(name)) {
    throw badTree(path, 'is no path of a file');
  }
}
