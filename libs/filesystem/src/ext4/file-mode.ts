import type { FileType, TreeEntry } from '@boxship/model';
import { badTree } from './tree-error.ts';

/** Types in `i_mode` (Documentation/filesystems/ext4/inodes.rst). */
export const S_IFMT = 0xf000;
export const S_IFDIR = 0x4000;
export const S_IFREG = 0x8000;
export const S_IFLNK = 0xa000;
const S_IFIFO = 0x1000;
const S_IFCHR = 0x2000;
const S_IFBLK = 0x6000;
const S_IFSOCK = 0xc000;

const MODES: Readonly<Record<Exclude<FileType, 'hardlink'>, number>> = {
  file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO, socket: S_IFSOCK,
  characterDevice: S_IFCHR, blockDevice: S_IFBLK,
}; // prettier-ignore

/** File types of directory entries, indexed by `i_mode >> 12` (directory.rst, "ext4_dir_entry_2.file_type"). */
export const DIRECTORY_FILE_TYPES = Uint8Array.of(0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7, 0, 6, 0, 0, 0);

/** Type bits of a mode. */
export function fileType(mode: number): number {
  return mode & S_IFMT;
}

/** Type bits for an entry's type; a hard link has none of its own. */
export function firstModeBits(type: FileType): number {
  return type === 'hardlink' ? 0 : MODES[type];
}

/** True for the types whose `i_block` holds a device number. */
export function isDevice(mode: number): boolean {
  return fileType(mode) === S_IFCHR || fileType(mode) === S_IFBLK;
}

/** Linux keeps 12 bits of the major and 20 of the minor number. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/** The new encoding of include/linux/kdev_t.h `new_encode_dev`: minor 7:0, major 19:8, minor 31:20. 0 for other types. */
export function encodeDevice(entry: TreeEntry): number {
  if (entry.type !== 'characterDevice' && entry.type !== 'blockDevice') return 0;
  const { major = 0, minor = 0 } = entry;
  if (!(major >= 0 && major <= MAX_MAJOR && minor >= 0 && minor <= MAX_MINOR)) {
    throw badTree(entry.path, `device ${major}:${minor} is beyond ${MAX_MAJOR}:${MAX_MINOR}`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** True where the old 16-bit encoding suffices (`old_valid_dev`): it goes to `i_block[0]`, the new one to `i_block[1]`. */
export function isOldDevice(encoded: number): boolean {
  return encoded <= 0xffff;
}
