import { UserError, type BytePath, type ContentSource, type TreeEntry } from '@boxship/model';
import { ByteArena } from './byte-arena.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, encodeDevice, fileType, firstModeBits } from './file-mode.ts';
import { FileRuns } from './file-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { encodeTime } from './inode-time.ts';
import { NameIndex } from './name-index.ts';
import { Owners, XattrSets } from './shared-attributes.ts';
import { badTree, showPath } from './tree-error.ts';
import { LINK_MAX, LOST_FOUND_ROW, ROOT_ROW, directoryColumns, inodeColumns, type TreeTable } from './tree-table.ts';
import { encodeXattrs } from './xattr.ts';

export const LOST_FOUND = 'lost+found';

/** One block, less the byte 0 that the kernel puts behind a target. */
const SYMLINK_MAX = BLOCK_SIZE - 1;

/** Blocks of a file have 32-bit numbers. */
const FILE_MAX = (2 ** 32 - 1) * BLOCK_SIZE;

/** A table that grows; it holds the root and lost+found from the start. */
export interface TableBuilder {
  /** Row of the inode at a path, or -1. */
  findPath(path: BytePath): number;
  /** Row of the directory that an inode is, or -1. */
  directoryOf(inode: number): number;
  setAttributes(inode: number, entry: TreeEntry): void;
  /** Adds an entry with an inode of its own. */
  addEntry(directory: number, name: string, entry: TreeEntry): void;
  /** Adds a name for an inode that is there. */
  addHardLink(directory: number, name: string, entry: TreeEntry): void;
  /** The table; nothing is added from then on. */
  finish(): TreeTable;
}

export function buildTable(epoch: number): TableBuilder {
  const inodes = inodeColumns();
  const directories = directoryColumns();
  /** Set for every entry, or of no meaning for those for which they are not. */
  const repeated = [inodes.owner, inodes.time, inodes.timeExtra, inodes.source];
  const zeroed = [inodes.size, inodes.detail, inodes.block, inodes.xattrs];
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

  const directoryOf = (inode: number) => (fileType(inodes.mode.get(inode)) === S_IFDIR ? inodes.detail.get(inode) : -1);
  const findPath = (path: string): number => {
    if (path === '') return ROOT_ROW;
    let inode = ROOT_ROW;
    for (let from = 0; from <= path.length;) {
      let to = path.indexOf('/', from);
      if (to < 0) to = path.length;
      const directory = directoryOf(inode);
      inode = directory < 0 ? -1 : names.find(directory, path.slice(from, to));
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
    for (const column of repeated) column.pushAgain();
    for (const column of zeroed) column.push(0);
    inodes.links.push(1);
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
        'Shorten the target of this symlink, or leave it out.',
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

  return {
    findPath,
    directoryOf,
    setAttributes,
    addEntry(directory, name, entry) {
      const row = addInode(0);
      addName(entry.path, directory, name, row);
      setAttributes(row, entry);
      const type = fileType(inodes.mode.get(row));
      if (type === S_IFREG) setContent(row, entry);
      else if (type === S_IFDIR) addDirectory(row, directory);
      else if (type === S_IFLNK) setTarget(row, entry);
      else inodes.detail.set(row, encodeDevice(entry));
    },
    addHardLink(directory, name, { path, link = '' }) {
      const target = findPath(link);
      if (target < 0) throw badTree(path, `a hard link to ${showPath(link)}, which does not come before it`);
      if (directoryOf(target) >= 0) throw badTree(path, 'a hard link to a directory');
      if (inodes.links.add(target, 1) > LINK_MAX) {
        throw new UserError(
          'TOO_MANY_LINKS',
          `${showPath(path)}: ${showPath(link)} has more than ${LINK_MAX} hard links, which is all that ext4 can count`,
          'Make some of the links files of their own.',
        );
      }
      addName(path, directory, name, target);
    },
    finish() {
      names.close();
      return { inodes, directories, names, text, sources, runs, sparse, owners, xattrs, dataBlocks };
    },
  };
}

function isOwner(id: number): boolean {
  return id >= 0 && id < 2 ** 32;
}

/** True when each character is one byte. */
export function isBytes(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false;
  return true;
}
