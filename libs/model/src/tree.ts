import type { ScatterOptions, ScatterTarget } from './scatter.ts';

/**
 * A path as the bytes of a file system: each character of the string is one byte (0x00 to 0xff, "latin1"), so that names
 * in any encoding survive and strings compare as their bytes do. Relative, parts joined by `/`, no empty, `.` or `..`
 * part, no leading or trailing `/`. The root directory is `''`.
 */
export type BytePath = string;

/** True for a path right below this folder; `slash`: the last one of the path, or -1. Cheaper than cutting the folder off. */
export function liesIn(folder: BytePath, path: BytePath, slash: number): boolean {
  return Math.max(slash, 0) === folder.length && path.startsWith(folder);
}

export type FileType =
  | 'file' | 'directory' | 'symlink' | 'hardlink' | 'characterDevice' | 'blockDevice' | 'fifo' | 'socket'; // prettier-ignore

export interface Xattr {
  /** Full name with its namespace, as in `security.capability`. */
  readonly name: string;
  readonly value: Uint8Array;
}

/** Bytes that can be read from the start, as often as wanted, always the same. */
export interface ContentSource {
  /** Equal ids promise equal bytes, so that one read can serve every reader. */
  readonly id: string;
  /** Length of the stream in bytes. */
  readonly size: number;
  /** Fails after the last chunk at the latest if the bytes are not those that `id` promises. Chunks may be reused: copy what you keep. */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Writes pieces of the stream straight into files, where the source can do so without bringing its bytes to the caller's
   * thread. Verifies as `open` does. When it resolves or fails, nothing writes to the files any more.
   */
  scatter?(targets: readonly ScatterTarget[], options: ScatterOptions): Promise<void>;
  /** What its files are when they are laid out in their order; absent when nobody has looked, or they cannot be. */
  readonly laidOut?: LaidOutContent | undefined;
}

/** The files of a stream as blocks of a file system, one behind the other in the order of the stream, each filled up with zeros. */
export interface LaidOutContent {
  /** As `ContentRun` has it, for the targets that get just these bytes. */
  readonly sequence: string;
  /** Of all these blocks, hex. */
  readonly sha256: string;
}

/** A run of data inside a sparse file. What no segment covers reads as zeros. */
export interface FileSegment {
  /** Position in the file, bytes. */
  readonly position: number;
  /** Position in the source's stream, bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Where the bytes of a regular file are: a range of a source, or several for a sparse file, in ascending order. */
export type FileContent =
  | { readonly source: ContentSource; readonly offset: number }
  | { readonly source: ContentSource; readonly segments: readonly FileSegment[] };

export interface TreeEntry {
  readonly path: BytePath;
  readonly type: FileType;
  /** Permission, setuid, setgid and sticky bits: the low 12 bits of st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Modification time: whole seconds since 1970 (may be negative) and nanoseconds 0 to 999999999. */
  readonly mtime: number;
  readonly mtimeNanoseconds: number;
  /** Bytes of a regular file, holes included; 0 for every other type. */
  readonly size: number;
  /** Target of a symlink (as it is, may be anything), or the path in this tree of an earlier entry for a hard link. */
  readonly link?: string;
  /** Device numbers of character and block devices. */
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: readonly Xattr[];
  /** Present for a regular file whose size is not 0. */
  readonly content?: FileContent;
}

/**
 * An ordered collection of file entries whose attributes are known without reading their bytes, and whose bytes are read
 * once, in storage order. A parent directory comes before what it holds; a path comes once. It can be walked often.
 */
export interface Tree {
  entries(): Iterable<TreeEntry>;
  /** The same entries, with whole directories that other trees may hold as well; absent when there are none. */
  parts?(): Iterable<TreePart>;
}

export type TreePart = TreeEntry | TreeBranch;

/**
 * A directory with all that is below it: nothing else of the tree that it is in lies or links there. A tree that is the same object in
 * two branches has the same entries, so that what was computed for one serves the other.
 */
export interface TreeBranch {
  /** Of the directory. */
  readonly path: BytePath;
  /** Paths and hard links from the directory on, which is the first entry, `''`. */
  readonly branch: SharedTree;
}

/** It has no branches of its own. */
export interface SharedTree {
  entries(): Iterable<TreeEntry>;
  /** About how many entries it has. */
  readonly entryCount: number;
}

/** A tree given as its parts. */
export function treeOfParts(parts: () => Iterable<TreePart>): Required<Tree> {
  return {
    parts,
    *entries() {
      for (const part of parts()) {
        if ('branch' in part) yield* branchEntries(part);
        else yield part;
      }
    },
  };
}

/** The parts of a tree: its entries, where it knows of no branches. */
export function partsOf(tree: Tree): Iterable<TreePart> {
  return tree.parts?.() ?? tree.entries();
}

function* branchEntries({ path: top, branch }: TreeBranch): Iterable<TreeEntry> {
  for (const entry of branch.entries()) {
    const path = entry.path === '' ? top : `${top}/${entry.path}`;
    yield entry.type === 'hardlink' ? { ...entry, path, link: `${top}/${entry.link}` } : { ...entry, path };
  }
}

/** A source over bytes in memory: generated files. */
export function bytesSource(id: string, bytes: Uint8Array): ContentSource {
  return {
    id,
    size: bytes.length,
    async *open() {
      if (bytes.length > 0) yield bytes;
    },
  };
}
