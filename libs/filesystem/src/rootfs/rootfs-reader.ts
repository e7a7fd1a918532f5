import type { BytePath, FileType, Xattr } from '@boxship/model';

/** Attributes of one file. Sizes in bytes, times in seconds and nanoseconds. */
export interface FileStat {
  readonly inode: number;
  readonly type: FileType;
  /** The low 12 bits of st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly mtime: number;
  readonly mtimeNanoseconds: number;
  /** Allocated bytes. */
  readonly allocated: number;
  /** Device numbers of character and block devices. */
  readonly major?: number;
  readonly minor?: number;
}

export interface DirectoryEntry {
  /** One character per byte. */
  readonly name: string;
  readonly inode: number;
  readonly type: FileType;
}

/**
 * Reads a root file system lazily, whatever holds it. Paths are as in `TreeEntry`; a leading `/` is allowed. Symlinks are
 * followed as the device would: absolute ones start at this file system's root, and nothing leads out of it.
 */
export interface RootfsReader {
  /** Attributes of what the path leads to; undefined when there is nothing. */
  stat(path: BytePath): Promise<FileStat | undefined>;
  /** The same, of a symlink itself. */
  lstat(path: BytePath): Promise<FileStat | undefined>;
  exists(path: BytePath): Promise<boolean>;
  /** The path without any symlink in it; undefined when there is nothing. */
  realPath(path: BytePath): Promise<BytePath | undefined>;
  /** Bytes of a regular file. Errors: FILE_MISSING, FILE_TOO_LARGE (more than `limit` bytes, default 16 MiB). */
  readFile(path: BytePath, limit?: number): Promise<Uint8Array>;
  /** Bytes `[position, position + length)` of a regular file, less when it ends before. */
  readRange(path: BytePath, position: number, length: number): Promise<Uint8Array>;
  /** As UTF-8; undefined when there is no such regular file. */
  readText(path: BytePath, limit?: number): Promise<string | undefined>;
  /** Target of a symlink, as it is. */
  readLink(path: BytePath): Promise<string>;
  /** Names sorted by their bytes, without `.` and `..`; empty when there is no such directory. */
  readDirectory(path: BytePath): Promise<readonly DirectoryEntry[]>;
  /** Extended attributes of what the path leads to, or of the symlink itself. */
  xattrs(path: BytePath, follow?: boolean): Promise<readonly Xattr[]>;
}

/** As in Linux (MAXSYMLINKS). */
export const MAX_LINKS = 40;
/** Parts that a path may have once its symlinks are replaced: Linux has PATH_MAX, 4096 bytes. */
export const MAX_PARTS = 4096;
