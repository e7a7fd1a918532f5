import { UserError, type ContentSource, type Tree, type TreeEntry } from '@boxship/model';
import { ByteArena } from './byte-arena.ts';
import { Owners, XattrSets } from './shared-attributes.ts';
import { float64Column, uint16Column, uint32Column } from './column.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { fileType, firstModeBits, encodeDevice, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './file-mode.ts';
import { FileRuns } from './file-runs.ts';
import { encodeTime } from './inode-time.ts';
import { NameIndex } from './name-index.ts';
import { badTree, showPath } from './tree-error.ts';
import { encodeXattrs } from './xattr.ts';

/** fs/ext4/ext4.h `EXT4_LINK_MAX` */
export const LINK_MAX = 65000;

/** Targets shorter than this lie in `i_block` ("fast symlinks"); inode 60 bytes, the last one is 0. */
export const FAST_SYMLINK_MAX = 59;

/** One block, less the byte 0 that the kernel puts behind a target. */
const SYMLINK_MAX = BLOCK_SIZE - 1;

const NAME_MAX = 255;

/** Blocks of a file have 32-bit numbers. */
const FILE_MAX = (2 ** 32 - 1) * BLOCK_SIZE;

/** Row of `inodes` that is the root directory, and that of lost+found (inode 11, made when the tree has none). */
export const ROOT_ROW = 0;
export const LOST_FOUND_ROW = 1;

const LOST_FOUND = 'lost+found';

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
}

function inodeColumns() {
  return {
    /** st_mode: type and permissions. */
    mode: uint16Column(),
    /** Row in `owners`. */
    owner: uint32Column(),
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
    /** Row in `xattrs`. */
    xattrs: uint32Column(),
  };
}

function directoryColumns() {
  return { inode: uint32Column(), parent: uint32Column(), children: uint32Column() };
}

export type InodeColumns = ReturnType<typeof inodeColumns>;
export type DirectoryColumns = ReturnType<typeof directoryColumns>;

/**
 * Walks a tree once. Errors: BAD_TREE (parent missing or late, duplicate, bad name or link, content that does not fit),
 * NAME_TOO_LONG, SYMLINK_TOO_LONG, TOO_MANY_LINKS, BAD_XATTR, XATTR_TOO_LARGE. `epoch`: times of what no entry gives.
 */
export function readTree(tree: Tree, epoch: number): TreeTable {
  const inodes = inodeColumns();
  const directories = directoryColumns();
  const otherColumns = Object.values(inodes).filter((column) => column !== inodes.mode);
  const text = new ByteArena();
  const names = new NameIndex(text);
  const sparse = new Map<number, number>();
  const owners = new Owners();
  const xattrs = new XattrSets();
  const runs = new FileRuns();
  const sources: ContentSource[] = [];
  const sourceRows = new Map<string, number>();
  let lastSource: ContentSource | undefined;
  let lastSourceRow = 0;
  let dataBlocks = 0;

  /** Row of the inode at a path, or -1. */
  const findPath = (path: string): number => {
    if (path === '') return ROOT_ROW;
    let inode = ROOT_ROW;
    for (let from = 0; from <= path.length;) {
      let to = path.indexOf('/', from);
      if (to < 0) to = path.length;
      if (fileType(inodes.mode.get(inode)) !== S_IFDIR) return -1;
      inode = names.find(inodes.detail.get(inode), path.slice(from, to));
      if (inode < 0) return -1;
      from = to + 1;
    }
    return inode;
  };

  const addName = (path: string, directory: number, name: string, inode: number) => {
    if (!names.add(directory, name, inode)) throw badTree(path, 'comes twice');
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
    if (!isOwner(entry.uid) || !isOwner(entry.gid)) {
      throw badTree(entry.path, `its owner ${entry.uid}:${entry.gid} does not fit into 32 bits`);
    }
    inodes.mode.set(row, firstModeBits(entry.type) | (entry.mode & 0o7777));
    inodes.owner.set(row, owners.intern(entry.uid, entry.gid));
    const time = encodeTime(entry.mtime, entry.mtimeNanoseconds);
    inodes.time.set(row, time.seconds);
    inodes.timeExtra.set(row, time.extra);
    if (entry.xattrs && entry.xattrs.length > 0) {
      inodes.xattrs.set(row, xattrs.intern(encodeXattrs(entry.path, entry.xattrs)));
    }
  };
  const setContent = (row: number, entry: TreeEntry) => {
    const { content, size } = entry;
    if (!(size >= 0 && size <= FILE_MAX)) {
      throw badTree(entry.path, `a file of ${size} bytes, ext4 keeps at most ${FILE_MAX}`);
    }
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
      sparse.set(row, first.count);
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
  addName(LOST_FOUND, 0, LOST_FOUND, LOST_FOUND_ROW);
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
      addName(path, parent, name, target);
      continue;
    }
    const row = addInode(0);
    addName(path, parent, name, row);
    setAttributes(row, entry);
    const type = inodes.mode.get(row) & S_IFMT;
    if (type === S_IFREG) setContent(row, entry);
    else if (type === S_IFDIR) addDirectory(row, parent);
    else if (type === S_IFLNK) setTarget(row, entry);
    else inodes.detail.set(row, encodeDevice(entry));
  }
  names.close();
  return { inodes, directories, names, text, sources, runs, sparse, owners, xattrs, dataBlocks };
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

function isOwner(id: number): boolean {
  return id >= 0 && id < 2 ** 32;
}

function isBytes(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false;
  return true;
}
