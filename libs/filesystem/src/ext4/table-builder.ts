import { UserError, type BytePath, type ContentSource, type TreeEntry } from '@boxship/model';
import { ByteArena } from './byte-arena.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, encodeDevice, fileType, firstModeBits } from './file-mode.ts';
import { FileRuns } from './file-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { encodeTime } from './inode-time.ts';
import type { Relocation } from './joined-column.ts';
import { NameIndex } from './name-index.ts';
import { Owners, XattrSets } from './shared-attributes.ts';
import { badTree, showPath } from './tree-error.ts';
import {
  FAST_SYMLINK_MAX, LINK_MAX, LOST_FOUND_ROW, ROOT_ROW, directoryColumns, inodeColumns, type TreeTable,
} from './tree-table.ts'; // prettier-ignore
import { encodeXattrs } from './xattr.ts';

export const LOST_FOUND = 'lost+found';

/** One block, less the byte 0 that the kernel puts behind a target. */
const SYMLINK_MAX = BLOCK_SIZE - 1;

/** Blocks of a file have 32-bit numbers. */
const FILE_MAX = (2 ** 32 - 1) * BLOCK_SIZE;

/** A table that grows; it holds the root, and lost+found where there is one, from the start. */
export interface TableBuilder {
  readonly lostFound: boolean;
  /** Row of the inode at a path, or -1. */
  findPath(path: BytePath): number;
  /** Row of the directory that an inode is, or -1. */
  directoryOf(inode: number): number;
  setAttributes(inode: number, entry: TreeEntry): void;
  /** Adds an entry with an inode of its own. */
  addEntry(directory: number, name: string, entry: TreeEntry): void;
  /** Adds a name for an inode that is there. */
  addHardLink(directory: number, name: string, entry: TreeEntry): void;
  /** Adds a directory with all that the table of a branch holds; nothing is added to it, and nothing in it is found. */
  addBranch(path: BytePath, directory: number, name: string, branch: TreeTable): void;
  /** The table; nothing is added from then on. */
  finish(): TreeTable;
}

export interface TableOptions {
  /** Seconds since 1970: times of what no entry gives. */
  readonly epoch: number;
  /** The table is of a whole file system, which has a lost+found; a branch has none. */
  readonly lostFound: boolean;
  /** About how many entries will be added. */
  readonly expected?: number;
}

export function buildTable({ epoch, lostFound, expected = 0 }: TableOptions): TableBuilder {
  const inodes = inodeColumns();
  const directories = directoryColumns();
  const text = new ByteArena();
  const names = new NameIndex(text, expected);
  const sparse = new Map<number, number>();
  const owners = new Owners();
  const xattrs = new XattrSets();
  const runs = new FileRuns();
  const sources: ContentSource[] = [];
  const sourceRows = new Map<string, number>();
  let lastSource: ContentSource | undefined;
  let lastSourceRow = 0;
  let dataBlocks = 0;
  let symlinkBlocks = 0;

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
  /** What the next inode gets beside its attributes: of no use for more than one. */
  const next = { size: 0, detail: 0, source: 0, block: 0 };
  const attributes = { mode: 0, owner: 0, time: 0, timeExtra: 0, xattrs: 0 };
  const addInode = (): void => {
    inodes.mode.push(attributes.mode);
    inodes.owner.push(attributes.owner);
    inodes.time.push(attributes.time);
    inodes.timeExtra.push(attributes.timeExtra);
    inodes.size.push(next.size);
    inodes.links.push(1);
    inodes.detail.push(next.detail);
    inodes.source.push(next.source);
    inodes.block.push(next.block);
    inodes.xattrs.push(attributes.xattrs);
    next.size = next.detail = next.block = 0; // the source stays: a column of equal numbers takes no memory
  };
  const addDirectory = (inode: number, parent: number) => {
    directories.inode.push(inode);
    directories.children.push(0);
    inodes.detail.set(inode, directories.parent.push(parent));
    inodes.links.set(inode, 2);
    inodes.links.add(directories.inode.get(parent), 1);
  };
  const readAttributes = (entry: TreeEntry) => {
    if (!isOwner(entry.uid) || !isOwner(entry.gid)) {
      throw badTree(entry.path, `its owner ${entry.uid}:${entry.gid} does not fit into 32 bits`);
    }
    attributes.mode = firstModeBits(entry.type) | (entry.mode & 0o7777);
    attributes.owner = owners.intern(entry.uid, entry.gid);
    const time = encodeTime(entry.mtime, entry.mtimeNanoseconds);
    attributes.time = time.seconds;
    attributes.timeExtra = time.extra;
    const { xattrs: given } = entry;
    attributes.xattrs = given && given.length > 0 ? xattrs.intern(encodeXattrs(entry.path, given)) : 0;
  };
  const sourceRow = (source: ContentSource): number => {
    if (source !== lastSource) {
      lastSource = source;
      lastSourceRow = sourceRows.get(source.id) ?? sources.push(source) - 1;
      sourceRows.set(source.id, lastSourceRow);
    }
    return lastSourceRow;
  };
  const readContent = (row: number, entry: TreeEntry) => {
    const { content, size } = entry;
    if (!(size >= 0 && size <= FILE_MAX)) {
      throw badTree(entry.path, `a file of ${size} bytes, ext4 keeps at most ${FILE_MAX}`);
    }
    next.size = size;
    if (size === 0) return;
    if (!content) throw badTree(entry.path, `a file of ${size} bytes without content`);
    const { source } = content;
    next.source = sourceRow(source);
    if ('segments' in content) {
      const first = runs.add(row, entry, content.segments, source, dataBlocks);
      next.block = first.run;
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
    next.detail = content.offset;
    next.block = dataBlocks;
    dataBlocks += Math.ceil(size / BLOCK_SIZE);
  };
  const readTarget = (entry: TreeEntry) => {
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
    next.size = target.length;
    next.detail = text.addText(target);
    if (target.length > FAST_SYMLINK_MAX) next.block = symlinkBlocks++;
  };

  const { seconds, extra } = encodeTime(epoch, 0);
  Object.assign(attributes, { mode: S_IFDIR | 0o755, time: seconds, timeExtra: extra });
  addInode();
  directories.inode.push(ROOT_ROW);
  directories.parent.push(ROOT_ROW);
  directories.children.push(0);
  inodes.links.set(ROOT_ROW, 2);
  if (lostFound) {
    attributes.mode = S_IFDIR | 0o700;
    addInode();
    addDirectory(LOST_FOUND_ROW, ROOT_ROW);
    addName(LOST_FOUND, 0, LOST_FOUND, LOST_FOUND_ROW);
  }

  return {
    lostFound,
    findPath,
    directoryOf,
    setAttributes(row, entry) {
      readAttributes(entry);
      inodes.mode.set(row, attributes.mode);
      inodes.owner.set(row, attributes.owner);
      inodes.time.set(row, attributes.time);
      inodes.timeExtra.set(row, attributes.timeExtra);
      inodes.xattrs.set(row, attributes.xattrs);
    },
    addEntry(directory, name, entry) {
      const row = inodes.mode.length;
      addName(entry.path, directory, name, row);
      readAttributes(entry);
      const type = fileType(attributes.mode);
      if (type === S_IFREG) readContent(row, entry);
      else if (type === S_IFLNK) readTarget(entry);
      else if (type !== S_IFDIR) next.detail = encodeDevice(entry);
      addInode();
      if (type === S_IFDIR) addDirectory(row, directory);
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
    addBranch(path, directory, name, branch) {
      const [firstInode, firstDirectory] = [inodes.mode.length, directories.inode.length];
      const firstText = text.join(branch.text);
      const firstRun = runs.join(branch.runs, firstInode, dataBlocks);
      const [firstBlock, firstSymlink] = [dataBlocks, symlinkBlocks];
      const ownersHere = Uint32Array.from({ length: branch.owners.count }, (_, row) =>
        owners.intern(branch.owners.uid(row), branch.owners.gid(row)),
      );
      const xattrsHere = Uint32Array.from({ length: branch.xattrs.count }, (_, row) =>
        xattrs.intern(branch.xattrs.set(row)),
      );
      const sourcesHere = branch.sources.map(sourceRow);
      const typeOf = (row: number) => fileType(branch.inodes.mode.get(row));

      inodes.mode.join(branch.inodes.mode);
      inodes.owner.join(branch.inodes.owner, relocationBy(ownersHere));
      inodes.time.join(branch.inodes.time);
      inodes.timeExtra.join(branch.inodes.timeExtra);
      inodes.size.join(branch.inodes.size);
      inodes.links.join(branch.inodes.links);
      inodes.detail.join(branch.inodes.detail, (value, row) => {
        const type = typeOf(row);
        return type === S_IFDIR ? value + firstDirectory : type === S_IFLNK ? value + firstText : value;
      });
      inodes.source.join(branch.inodes.source, relocationBy(sourcesHere));
      const isPlain = branch.sparse.size === 0 && branch.symlinkBlocks === 0;
      const blockOf = (value: number, row: number) => {
        if (typeOf(row) !== S_IFREG) return value + firstSymlink;
        return value + (branch.sparse.has(row) ? firstRun : firstBlock);
      };
      inodes.block.join(branch.inodes.block, isPlain ? firstBlock : blockOf);
      inodes.xattrs.join(branch.inodes.xattrs, relocationBy(xattrsHere));
      for (const [row, count] of branch.sparse) sparse.set(row + firstInode, count);
      directories.inode.join(branch.directories.inode, firstInode);
      directories.parent.join(branch.directories.parent, (value, row) =>
        row === 0 ? directory : value + firstDirectory,
      );
      directories.children.join(branch.directories.children);
      addName(path, directory, name, firstInode);
      names.join(branch.names, firstDirectory, firstInode, firstText);
      inodes.links.add(directories.inode.get(directory), 1);
      dataBlocks += branch.dataBlocks;
      symlinkBlocks += branch.symlinkBlocks;
    },
    finish() {
      names.close();
      text.close();
      return { inodes, directories, names, text, sources, runs, sparse, owners, xattrs, dataBlocks, symlinkBlocks };
    },
  };
}

/** Each number becomes the one that stands at its place. */
function relocationBy(numbers: ArrayLike<number>): Relocation {
  const first = numbers[0] ?? 0;
  for (let at = 0; at < numbers.length; at++) {
    if (numbers[at] !== first + at) return (value) => numbers[value]!;
  }
  return first;
}

function isOwner(id: number): boolean {
  return id >= 0 && id < 2 ** 32;
}

/** True when each character is one byte. */
export function isBytes(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false;
  return true;
}
