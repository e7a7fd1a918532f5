import { UserError, formatByteSize, MiB, type BytePath, type FileType, type RandomReader } from '@boxship/model';
import { FLAG, inodeXattrs, readInode, readInodeBytes, type Inode } from './ext4-inode.ts';
import { corrupt, readSuperblock, type Ext4Superblock } from './ext4-superblock.ts';
import { pageCache } from './page-cache.ts';
import { MAX_LINKS, MAX_PARTS, type DirectoryEntry, type FileStat, type RootfsReader } from './rootfs-reader.ts';

/** Reads an ext2, ext3 or ext4. Every method: EXT4_CORRUPT when the filesystem contradicts itself; none runs without end. */
export interface Ext4Reader extends RootfsReader {
  readonly superblock: Ext4Superblock;
}

const ROOT_INODE = 2;
const MAX_DIRECTORY = 256 * MiB;
const MODE_TYPES: Readonly<Record<number, FileType>> = {
  0x1: 'fifo', 0x2: 'characterDevice', 0x4: 'directory', 0x6: 'blockDevice', 0x8: 'file', 0xa: 'symlink', 0xc: 'socket',
}; // prettier-ignore
const ENTRY_TYPES: readonly (FileType | undefined)[] = [
  undefined, 'file', 'directory', 'characterDevice', 'blockDevice', 'fifo', 'socket', 'symlink',
]; // prettier-ignore

/**
 * Opens the ext4 in `content`, which must not change while it is read. Errors: ROOTFS_NOT_EXT4, EXT4_UNSUPPORTED, EXT4_CORRUPT,
 * EXT4_TRUNCATED.
 */
export async function openExt4(content: RandomReader): Promise<Ext4Reader> {
  const superblock = await readSuperblock(content);
  const reader = pageCache(content);
  const directories = new Map<number, Promise<Map<string, DirectoryEntry>>>();

  const list = (inode: Inode) => {
    let listing = directories.get(inode.number);
    if (!listing) {
      if (directories.size > 256) directories.clear();
      listing = readDirectoryEntries(reader, superblock, inode);
      directories.set(inode.number, listing);
    }
    return listing;
  };

  /** Walks a path; `followLast` decides about a symlink at its end. */
  const walk = async (path: BytePath, followLast: boolean) => {
    const todo = parts(path);
    const done: { name: string; inode: Inode }[] = [];
    const root = await readInode(reader, superblock, ROOT_INODE);
    if (fileType(root) !== 'directory') throw corrupt('its root is not a directory');
    let links = 0;
    while (todo.length > 0) {
      const name = todo.shift()!;
      const here = done.at(-1)?.inode ?? root;
      if (name === '.') continue;
      if (name === '..') {
        done.pop();
        continue;
      }
      if (fileType(here) !== 'directory') return undefined;
      const entry = (await list(here)).get(name);
      if (!entry) return undefined;
      const inode = await readInode(reader, superblock, entry.inode);
      if (fileType(inode) === 'symlink' && (todo.length > 0 || followLast)) {
        links += 1;
        if (links > MAX_LINKS) return undefined; // ELOOP: nothing is there for the device either
        const target = await linkTarget(reader, superblock, inode);
        if (target.startsWith('/')) done.length = 0;
        todo.unshift(...parts(target));
        if (todo.length > MAX_PARTS) return undefined;
        continue;
      }
      done.push({ name, inode });
    }
    return { path: done.map((step) => step.name).join('/'), inode: done.at(-1)?.inode ?? root };
  };

  const file = async (path: BytePath) => {
    const found = await walk(path, true);
    if (!found || fileType(found.inode) !== 'file') {
      throw new UserError('FILE_MISSING', `the root filesystem has no file /${parts(path).join('/')}`);
    }
    return found.inode;
  };
  const readFile = async (path: BytePath, limit = 16 * MiB) => {
    const inode = await file(path);
    if (inode.size > limit) {
      throw new UserError(
        'FILE_TOO_LARGE',
        `/${parts(path).join('/')} in the root filesystem has ${formatByteSize(inode.size)}, more than ${formatByteSize(limit)}`,
      );
    }
    return inode.size === 0 ? new Uint8Array() : await readInodeBytes(reader, superblock, inode, 0, inode.size);
  };
  const stat = async (path: BytePath, follow: boolean) => {
    const found = await walk(path, follow);
    return found && fileStat(found.inode);
  };

  return {
    superblock,
    stat: (path) => stat(path, true),
    lstat: (path) => stat(path, false),
    exists: async (path) => (await walk(path, true)) !== undefined,
    realPath: async (path) => (await walk(path, true))?.path,
    readFile,
    async readRange(path, position, length) {
      const inode = await file(path);
      const end = Math.min(inode.size, position + length);
      return end <= position
        ? new Uint8Array()
        : await readInodeBytes(reader, superblock, inode, position, end - position);
    },
    async readText(path, limit) {
      const found = await walk(path, true);
      if (!found || fileType(found.inode) !== 'file') return undefined;
      return Buffer.from(await readFile(path, limit)).toString('utf8');
    },
    async readLink(path) {
      const found = await walk(path, false);
      if (!found || fileType(found.inode) !== 'symlink') {
        throw new UserError('FILE_MISSING', `the root filesystem has no symlink /${parts(path).join('/')}`);
      }
      return linkTarget(reader, superblock, found.inode);
    },
    async readDirectory(path) {
      const found = await walk(path, true);
      if (!found || fileType(found.inode) !== 'directory') return [];
      const entries = [...(await list(found.inode)).values()];
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async xattrs(path, follow = true) {
      const found = await walk(path, follow);
      const all = found ? await inodeXattrs(reader, superblock, found.inode) : [];
      return all.filter((xattr) => xattr.name !== 'system.data');
    },
  };
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function fileType(inode: Inode): FileType {
  const type = MODE_TYPES[inode.mode >> 12];
  if (!type) throw corrupt(`inode ${inode.number} has mode 0${inode.mode.toString(8)}`);
  return type;
}

function fileStat(inode: Inode): FileStat {
  const { number, mode, uid, gid, size, links, mtime, mtimeNanoseconds, sectors } = inode;
  const type = fileType(inode);
  const common = { inode: number, type, mode: mode & 0o7777, uid, gid, size, links, mtime, mtimeNanoseconds };
  return { ...common, allocated: sectors * 512, ...deviceNumbers(inode, type) };
}

/** i_block of a device: 16 bits in the first word (8:8), or 32 in the second one (12:20), include/linux/kdev_t.h. */
function deviceNumbers({ block }: Inode, type: FileType): { readonly major?: number; readonly minor?: number } {
  if (type !== 'characterDevice' && type !== 'blockDevice') return {};
  const [old, value] = [block.readUInt32LE(0), block.readUInt32LE(4)];
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  return { major: (value & 0xfff00) >>> 8, minor: (value & 0xff) | ((value >>> 12) & 0xfff00) };
}

async function linkTarget(reader: RandomReader, sb: Ext4Superblock, inode: Inode): Promise<string> {
  if (inode.size > 4096) throw corrupt(`the symlink of inode ${inode.number} has ${inode.size} bytes`);
  const short = inode.size < 60 && !(inode.flags & (FLAG.extents | FLAG.inlineData));
  const bytes = short ? inode.block.subarray(0, inode.size) : await readInodeBytes(reader, sb, inode, 0, inode.size);
  return bytes.toString('latin1');
}

/** directory.rst. Blocks of a hash tree hide their index in an entry with inode 0 that spans it, so reading in line is right. */
async function readDirectoryEntries(reader: RandomReader, sb: Ext4Superblock, inode: Inode) {
  const entries = new Map<string, DirectoryEntry>();
  if (inode.size > MAX_DIRECTORY) throw corrupt(`the directory of inode ${inode.number} has ${inode.size} bytes`);
  if (inode.flags & FLAG.inlineData) {
    // 4 bytes of the parent's inode number, then entries: first those in i_block, then those in the attribute.
    const bytes = await readInodeBytes(reader, sb, inode, 0, inode.size);
    parseDirectoryBlock(bytes.subarray(4, 60), inode, entries);
    if (bytes.length > 60) parseDirectoryBlock(bytes.subarray(60), inode, entries);
    return entries;
  }
  const step = Math.max(sb.blockSize, MiB);
  for (let position = 0; position < inode.size; position += step) {
    const chunk = await readInodeBytes(reader, sb, inode, position, Math.min(step, inode.size - position));
    for (let at = 0; at < chunk.length; at += sb.blockSize) {
      parseDirectoryBlock(chunk.subarray(at, at + sb.blockSize), inode, entries);
    }
  }
  return entries;
}

function parseDirectoryBlock(block: Buffer, inode: Inode, entries: Map<string, DirectoryEntry>): void {
  for (let at = 0; at + 8 <= block.length;) {
    const number = block.readUInt32LE(at);
    // 64 KiB blocks write their full length as 0 or 65535.
    const raw = block.readUInt16LE(at + 4);
    const length = block.length === 65536 && (raw === 0 || raw === 65535) ? 65536 : raw;
    const nameLength = block[at + 6]!;
    if (length < 8 || length % 4 !== 0 || at + length > block.length || (number !== 0 && 8 + nameLength > length)) {
      if (block.every((byte) => byte === 0)) return; // a hole
      throw corrupt(`the directory of inode ${inode.number} has a bad entry`);
    }
    if (number !== 0) {
      const name = block.toString('latin1', at + 8, at + 8 + nameLength);
      const type = ENTRY_TYPES[block[at + 7]!] ?? 'file';
      if (name !== '.' && name !== '..' && !name.includes('/') && name !== '') {
        entries.set(name, { name, inode: number, type });
      }
    }
    at += length;
  }
}
