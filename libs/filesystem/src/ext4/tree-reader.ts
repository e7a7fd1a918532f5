import { UserError, type Tree } from '@boxship/model';
import { LOST_FOUND, buildTable, isBytes } from './table-builder.ts';
import { badTree, showPath } from './tree-error.ts';
import { LOST_FOUND_ROW, ROOT_ROW, type TreeTable } from './tree-table.ts';

/** `EXT4_NAME_LEN` */
const NAME_MAX = 255;

/**
 * Walks a tree once. Errors: BAD_TREE (parent missing or late, duplicate, bad name or link, content that does not fit),
 * NAME_TOO_LONG, SYMLINK_TOO_LONG, TOO_MANY_LINKS, BAD_XATTR, XATTR_TOO_LARGE. `epoch`: times of what no entry gives.
 */
export function readTree(tree: Tree, epoch: number): TreeTable {
  const table = buildTable(epoch);
  const given = new Set<string>();
  let parentPath = '';
  let parent = 0;
  for (const entry of tree.entries()) {
    const { path } = entry;
    if (path === '' || path === LOST_FOUND) {
      // these two exist from the start; the tree may give their attributes, once
      if (entry.type !== 'directory') throw badTree(path, `is a ${entry.type}, must be a directory`);
      if (given.has(path)) throw badTree(path, 'comes twice');
      given.add(path);
      table.setAttributes(path === '' ? ROOT_ROW : LOST_FOUND_ROW, entry);
      continue;
    }
    const slash = path.lastIndexOf('/');
    const above = slash < 0 ? '' : path.slice(0, slash);
    const name = slash < 0 ? path : path.slice(slash + 1);
    if (above !== parentPath) {
      const inode = table.findPath(above);
      if (inode < 0) throw badTree(path, 'comes before its directory');
      parent = table.directoryOf(inode);
      if (parent < 0) throw badTree(path, 'lies below what is not a directory');
      parentPath = above;
    }
    checkName(path, name);
    if (entry.type === 'hardlink') table.addHardLink(parent, name, entry);
    else table.addEntry(parent, name, entry);
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
