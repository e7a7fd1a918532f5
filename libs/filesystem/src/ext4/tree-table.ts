import { UserError, type ContentSource, type Tree, type TreeEntry } from '@boxship/model';
import { ByteArena, ByteInterner, HashTable, hashBytes, hashText } from './byte-arena.ts';
import { float64Column, uint16Column, uint32Column, uint8Column } from './column.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { fileType, firstModeBits, encodeDevice, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './file-mode.ts';
import { FileRuns } from './file-runs.ts';
import { encodeTime } from './inode-time.ts';
import { badTree, showPath } from './tree-error.ts';
import { encodeXattrs, type EncodedXattrs } from './xattr.ts';

/** fs/ext4/ext4.h `EXT4_LINK_MAX` */
export const LINK_MAX = 65000;

/** Targets shorter than this lie in `i_block` ("fast symlinks"); inode 60 bytes, the last one is 0. */
export const FAST_SYMLINK_MAX = 59;

/** One block, less the byte 0 that the kernel puts behind a target. */
const SYMLINK_MAX = BLOCK_SIZE - 1;

const NAME_MAX = 255;

/** Row of `inodes` that is the root directory, and that of lost+found (inode 11, made when the tree has none). */
export const ROOT_ROW = 0;
export const LOST_FOUND_ROW = 1;

const LOST_FOUND = 'lost+found';

/** Everything of a tree but its bytes, in columns. A row number stands for an inode, a directory or a name. */
export interface TreeTable {
  readonly inodes: InodeColumns;
  readonly directories: DirectoryColumns;
  readonly names: NameColumns;
  /** Names and targets of symlinks. */
  readonly text: ByteArena;
  readonly sources: readonly ContentSource[];
  readonly runs: FileRuns;
  /** Sets of attributes that lie in inodes, and those that lie in blocks. */
  readonly inlineXattrs: ByteInterner;
  readonly blockXattrs: ByteInterner;
  /** Blocks that regular files need. */
  readonly dataBlocks: number;
}

function inodeColumns() {
  return {
    /** st_mode: type and permissions. */
    mode: uint16Column(),
    uid: uint32Column(),
    gid: uint32Column(),
    time: uint32Column(),
    timeExtra: uint32Column(),
    size: float64Column(),
    links: uint32Column(),
    /** File: position in its source. Symlink: address of its target in `text`. Device: encoded number. Directory: its row. */
    detail: float64Column(),
    /** File: row of its source. */
    source: uint32Column(),
    /** File: first block in data space; sparse: row of its first run. Symlink with a block: number of that block. */
    block: uint32Column(),
    /** Runs of a sparse file + 1; 0 for a file in one piece. */
    sparse: uint32Column(),
    /** Row + 1 in `inlineXattrs` and in `blockXattrs`; 0 for none. */
    inlineXattrs: uint32Column(),
    blockXattrs: uint32Column(),
  };
}

function directoryColumns() {
  return { inode: uint32Column(), parent: uint32Column(), children: uint32Column() };
}

function nameColumns() {
  return { directory: uint32Column(), inode: uint32Column(), address: uint32Column(), length: uint8Column() };
}

export type InodeColumns = ReturnType<typeof inodeColumns>;
export type DirectoryColumns = ReturnType<typeof directoryColumns>;
export type NameColumns = ReturnType<typeof nameColumns>;

/**
 * Walks a tree once. Errors: BAD_TREE (parent missing or late, duplicate, bad name or link, content that does not fit),
 * NAME_TOO_LONG, SYMLINK_TOO_LONG, TOO_MANY_LINKS, BAD_XATTR, XATTR_TOO_LARGE. `epoch`: times of what no entry gives.
 */
export function readTree(tree: Tree, epoch: number): TreeTable {
  const inodes = inodeColumns();
  const directories = directoryColumns();
  const names = nameColumns();
  const otherColumns = Object.values(inodes).filter((column) => column !== inodes.mode);
  const text = new ByteArena();
  const inlineXattrs = new ByteInterner();
  const blockXattrs = new ByteInterner();
  const runs = new FileRuns();
  const sources: ContentSource[] = [];
  const sourceRows = new Map<string, number>();
  let lastSource: ContentSource | undefined;
  let lastSourceRow = 0;
  let dataBlocks = 0;

  const nameHash = (row: number) => {
    const address = names.address.get(row);
    const start = text.within(address);
    return hashBytes(names.directory.get(row), text.chunk(address), start, start + names.length.get(row));
  };
  const index = new HashTable(nameHash);
  let soughtDirectory = 0;
  let soughtName = '';
  const matches = (row: number) => {
    if (names.directory.get(row) !== soughtDirectory || names.length.get(row) !== soughtName.length) return false;
    const address = names.address.get(row);
    const bytes = text.chunk(address);
    const start = text.within(address);
    for (let at = 0; at < soughtName.length; at++) {
      if (bytes[start + at] !== soughtName.charCodeAt(at)) return false;
    }
    return true;
  };
  /** Row of a name in a directory, or -1. */
  const findName = (directory: number, name: string): number => {
    soughtDirectory = directory;
    soughtName = name;
    return index.find(hashText(directory, name), matches);
  };
  /** Row of the inode at a path, or -1. */
  const findPath = (path: string): number => {
    if (path === '') return ROOT_ROW;
    let inode = ROOT_ROW;
    for (let from = 0; from <= path.length;) {
      let to = path.indexOf('/', from);
      if (to < 0) to = path.length;
      if (fileType(inodes.mode.get(inode)) !== S_IFDIR) return -1;
      const row = findName(inodes.detail.get(inode), path.slice(from, to));
      if (row < 0) return -1;
      inode = names.inode.get(row);
      from = to + 1;
    }
    return inode;
  };

  const addName = (directory: number, name: string, inode: number) => {
    names.directory.push(directory);
    names.inode.push(inode);
    names.address.push(text.addText(name));
    const row = names.length.push(name.length);
    index.add(hashText(directory, name), row);
    directories.children.add(directory, 1);
  };
  const addInode = (mode: number): number => {
    const row = inodes.mode.push(mode);
    for (const column of otherColumns) column.push(0);
    inodes.links.set(row, 1);
    return row;
  };
  const addDirectory = (inode: number, parent: number) => {
    directories.inode.push(inode);
    directories.children.push(0);
    inodes.detail.set(inode, directories.parent.push(parent));
    inodes.links.set(inode, 2);
    inodes.links.add(directories.inode.get(parent), 1);
  };
  const setAttributes = (row: number, entry: TreeEntry) => {
    inodes.mode.set(row, firstModeBits(entry.type) | (entry.mode & 0o7777));
    inodes.uid.set(row, entry.uid);
    inodes.gid.set(row, entry.gid);
    const time = encodeTime(entry.mtime, entry.mtimeNanoseconds);
    inodes.time.set(row, time.seconds);
    inodes.timeExtra.set(row, time.extra);
    if (!entry.xattrs || entry.xattrs.length === 0) return;
    const xattrs: EncodedXattrs = encodeXattrs(entry.path, entry.xattrs);
    inodes.inlineXattrs.set(row, xattrs.inline ? inlineXattrs.intern(xattrs.inline) + 1 : 0);
    inodes.blockXattrs.set(row, xattrs.block ? blockXattrs.intern(xattrs.block) + 1 : 0);
  };
  const setContent = (row: number, entry: TreeEntry) => {
    const { content, size } = entry;
    inodes.size.set(row, size);
    if (size === 0) return;
    if (!content) throw badTree(entry.path, `a file of ${size} bytes without content`);
    const { source } = content;
    if (source !== lastSource) {
      lastSource = source;
      lastSourceRow = sourceRows.get(source.id) ?? sources.push(source) - 1;
      sourceRows.set(source.id, lastSourceRow);
    }
    inodes.source.set(row, lastSourceRow);
    if ('segments' in content) {
      const first = runs.add(row, entry, content.segments, source, dataBlocks);
      inodes.block.set(row, first.run);
      inodes.sparse.set(row, first.count + 1);
      dataBlocks += first.blocks;
      return;
    }
    if (!(content.offset >= 0 && content.offset + size <= source.size)) {
      throw badTree(
        entry.path,
        `its content is ${size} bytes at ${content.offset} of ${source.id}, which has ${source.size}`,
      );
    }
    inodes.detail.set(row, content.offset);
    inodes.block.set(row, dataBlocks);
    dataBlocks += Math.ceil(size / BLOCK_SIZE);
  };
  const setTarget = (row: number, entry: TreeEntry) => {
    const target = entry.link ?? '';
    if (target.length === 0 || target.includes('\0') || !isBytes(target)) {
      throw badTree(entry.path, 'a symlink without a usable target');
    }
    if (target.length > SYMLINK_MAX) {
      throw new UserError(
        'SYMLINK_TOO_LONG',
        `${showPath(entry.path)}: its target has ${target.length} bytes, ext4 keeps at most ${SYMLINK_MAX}`,
      );
    }
    inodes.size.set(row, target.length);
    inodes.detail.set(row, text.addText(target));
  };

  addInode(S_IFDIR | 0o755);
  directories.inode.push(ROOT_ROW);
  directories.parent.push(ROOT_ROW);
  directories.children.push(0);
  inodes.links.set(ROOT_ROW, 2);
  addInode(S_IFDIR | 0o700);
  addDirectory(LOST_FOUND_ROW, ROOT_ROW);
  addName(0, LOST_FOUND, LOST_FOUND_ROW);
  const { seconds, extra } = encodeTime(epoch, 0);
  for (const row of [ROOT_ROW, LOST_FOUND_ROW]) {
    inodes.time.set(row, seconds);
    inodes.timeExtra.set(row, extra);
  }

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
      setAttributes(path === '' ? ROOT_ROW : LOST_FOUND_ROW, entry);
      continue;
    }
    const slash = path.lastIndexOf('/');
    const above = slash < 0 ? '' : path.slice(0, slash);
    const name = slash < 0 ? path : path.slice(slash + 1);
    if (above !== parentPath) {
      const inode = findPath(above);
      if (inode < 0 || fileType(inodes.mode.get(inode)) !== S_IFDIR) {
        throw badTree(path, inode < 0 ? 'comes before its directory' : 'lies below what is not a directory');
      }
      parentPath = above;
      parent = inodes.detail.get(inode);
    }
    checkName(path, name);
    if (findName(parent, name) >= 0) throw badTree(path, 'comes twice');
    if (entry.type === 'hardlink') {
      const target = findPath(entry.link ?? '');
      if (target < 0)
        throw badTree(path, `a hard link to ${showPath(entry.link ?? '')}, which does not come before it`);
      if (fileType(inodes.mode.get(target)) === S_IFDIR) throw badTree(path, 'a hard link to a directory');
      if (inodes.links.add(target, 1) > LINK_MAX) {
        throw new UserError(
          'TOO_MANY_LINKS',
          `${showPath(path)}: ${showPath(entry.link ?? '')} has more than ${LINK_MAX} hard links, which is all that ext4 can count`,
        );
      }
      addName(parent, name, target);
      continue;
    }
    const row = addInode(0);
    setAttributes(row, entry);
    addName(parent, name, row);
    const type = inodes.mode.get(row) & S_IFMT;
    if (type === S_IFREG) setContent(row, entry);
    else if (type === S_IFDIR) addDirectory(row, parent);
    else if (type === S_IFLNK) setTarget(row, entry);
    else inodes.detail.set(row, encodeDevice(entry));
  }
  return { inodes, directories, names, text, sources, runs, inlineXattrs, blockXattrs, dataBlocks };
}

function checkName(path: string, name: string): void {
  if (name.length > NAME_MAX) {
    throw new UserError(
      'NAME_TOO_LONG',
      `${showPath(path)}: its last part has ${name.length} bytes, ext4 keeps at most ${NAME_MAX}`,
    );
  }
  if (path.startsWith('/') || name === '' || name === '.' || name === '..' || name.includes('\0') || !isBytes(name)) {
    throw badTree(path, 'is no path of a file');
  }
}

function isBytes(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false;
  return true;
}
