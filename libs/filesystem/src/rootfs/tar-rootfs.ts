import {
  MiB,
  UserError,
  formatByteSize,
  type BytePath,
  type FileSegment,
  type RandomReader,
  type Xattr,
} from '@boxship/model';
import { createTarParser } from '../tar/tar-parser.ts';
import type { TarEntry } from '../tar/tar-entry.ts';
import { MAX_LINKS, MAX_PARTS, type FileStat, type RootfsReader } from './rootfs-reader.ts';

/** Twenty times the files of a large BSP; the index of so many takes 150 MiB. */
export const MAX_ROOTFS_ENTRIES = 500_000;
const CHUNK = MiB;

interface Node {
  readonly inode: number;
  /** Hard links are one node at several places: what `stat` says of it is right everywhere. */
  stat: Omit<FileStat, 'inode' | 'links'>;
  links: number;
  link?: string;
  xattrs?: readonly Xattr[];
  segments?: readonly FileSegment[];
  /** Of a directory. */
  children?: Map<string, Node>;
}

export interface TarRootfsOptions {
  /** How errors call the archive. */
  readonly name: string;
  /** Entries that it may have; default MAX_ROOTFS_ENTRIES. */
  readonly maxEntries?: number;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * The root file system in a plain tar archive, as it is once a tar program has unpacked it: later entries win, hard links
 * are one file, symlinked folders are followed. The archive is read once for its headers; bytes of files when asked for.
 * Errors: ROOTFS_TOO_MANY_ENTRIES, TAR_BAD_LINK, those of the tar parser.
 */
export async function openTarRootfs(reader: RandomReader, options: TarRootfsOptions): Promise<RootfsReader> {
  const { name, maxEntries = MAX_ROOTFS_ENTRIES, onBytes } = options;
  let inodes = 0;
  const folder = (mtime = 0): Node => ({
    inode: (inodes += 1),
    stat: { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime, mtimeNanoseconds: 0, allocated: 0 },
    links: 1,
    children: new Map(),
  });
  const root = folder();
  let entries = 0;
  const put = (entry: TarEntry) => {
    entries += 1;
    if (entries > maxEntries) {
      throw new UserError(
        'ROOTFS_TOO_MANY_ENTRIES',
        `${name} has more than ${maxEntries} entries: that is no root filesystem of a device`,
        'Is it the right archive? Files of an application belong into its container image.',
      );
    }
    if (entry.path === '') return void (root.stat = statOf(entry));
    const at = entry.path.lastIndexOf('/');
    const parent = makeFolders(root, at < 0 ? '' : entry.path.slice(0, at), folder);
    const last = entry.path.slice(at + 1);
    if (!parent) throw badEntry(name, entry, 'a part of its path is no directory');
    const there = parent.children!.get(last);
    if (entry.type === 'hardlink') {
      const target = walk(root, entry.link ?? '', false)?.node;
      if (!target || target.children) throw badEntry(name, entry, `it links to /${entry.link ?? ''}, which is no file`);
      if (there !== target) target.links += 1;
      parent.children!.set(last, target);
      return;
    }
    if (there?.children && entry.type === 'directory') {
      there.stat = statOf(entry);
      if (entry.xattrs) there.xattrs = entry.xattrs;
      return;
    }
    // an archive with a directory in the place of a symlink to one means what is behind the symlink, as tar unpacks it
    if (entry.type === 'directory' && there && walk(root, entry.path, true)?.node.children) return;
    parent.children!.set(last, nodeOf(entry, (inodes += 1)));
  };
  const parser = createTarParser({ entry: put }, { name });
  for (let position = 0; position < reader.size; position += CHUNK) {
    const chunk = await reader.read(position, Math.min(CHUNK, reader.size - position));
    parser.push(chunk);
    onBytes?.(chunk.length);
  }
  parser.end();
  return rootfsOf(root, reader);
}

function rootfsOf(root: Node, reader: RandomReader): RootfsReader {
  const file = (path: BytePath) => {
    const found = walk(root, path, true)?.node;
    if (found?.stat.type !== 'file') {
      throw new UserError('FILE_MISSING', `the root filesystem has no file /${partsOf(path).join('/')}`);
    }
    return found;
  };
  const readRange = async (path: BytePath, position: number, length: number) => {
    const { stat, segments = [] } = file(path);
    const end = Math.min(stat.size, position + length);
    const bytes = Buffer.alloc(Math.max(0, end - position));
    for (const segment of segments) {
      const from = Math.max(position, segment.position);
      const to = Math.min(end, segment.position + segment.length);
      if (to > from) {
        bytes.set(await reader.read(segment.offset + from - segment.position, to - from), from - position);
      }
    }
    return bytes;
  };
  const readFile = async (path: BytePath, limit = 16 * MiB) => {
    const { size } = file(path).stat;
    if (size <= limit) return await readRange(path, 0, size);
    throw new UserError(
      'FILE_TOO_LARGE',
      `/${partsOf(path).join('/')} in the root filesystem has ${formatByteSize(size)}, more than ${formatByteSize(limit)}`,
    );
  };
  const statAt = (path: BytePath, follow: boolean): FileStat | undefined => {
    const node = walk(root, path, follow)?.node;
    return node && { inode: node.inode, links: node.links, ...node.stat };
  };
  return {
    stat: async (path) => statAt(path, true),
    lstat: async (path) => statAt(path, false),
    exists: async (path) => walk(root, path, true) !== undefined,
    realPath: async (path) => walk(root, path, true)?.path,
    readFile,
    readRange,
    async readText(path, limit) {
      if (statAt(path, true)?.type !== 'file') return undefined;
      return Buffer.from(await readFile(path, limit)).toString('utf8');
    },
    async readLink(path) {
      const target = walk(root, path, false)?.node.link;
      if (target !== undefined) return target;
      throw new UserError('FILE_MISSING', `the root filesystem has no symlink /${partsOf(path).join('/')}`);
    },
    async readDirectory(path) {
      const children = walk(root, path, true)?.node.children ?? new Map<string, Node>();
      return [...children]
        .map(([name, { inode, stat }]) => ({ name, inode, type: stat.type }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    xattrs: async (path, follow = true) => walk(root, path, follow)?.node.xattrs ?? [],
  };
}

function walk(
  root: Node,
  path: string,
  followLast: boolean,
): { readonly path: string; readonly node: Node } | undefined {
  const todo = partsOf(path);
  const done: { readonly name: string; readonly node: Node }[] = [];
  for (let links = 0; todo.length > 0;) {
    const name = todo.shift()!;
    if (name === '..') {
      done.pop();
      continue;
    }
    const node = (done.at(-1)?.node ?? root).children?.get(name);
    if (!node) return undefined;
    if (node.link !== undefined && (todo.length > 0 || followLast)) {
      links += 1;
      if (links > MAX_LINKS || todo.length > MAX_PARTS) return undefined; // ELOOP: nothing is there for the device either
      if (node.link.startsWith('/')) done.length = 0;
      todo.unshift(...partsOf(node.link));
      continue;
    }
    done.push({ name, node });
  }
  return { path: done.map(({ name }) => name).join('/'), node: done.at(-1)?.node ?? root };
}

/** The directory at `path`, made as far as it is missing; undefined where something else stands. */
function makeFolders(root: Node, path: string, folder: () => Node): Node | undefined {
  let here = '';
  let node = root;
  for (const name of partsOf(path)) {
    here = here === '' ? name : `${here}/${name}`;
    const next = node.children?.get(name);
    if (next?.children) node = next;
    else if (next) {
      const real = walk(root, here, true)?.node;
      if (!real?.children) return undefined;
      node = real;
    } else {
      const made = folder();
      node.children!.set(name, made);
      node = made;
    }
  }
  return node;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function statOf(entry: TarEntry): Node['stat'] {
  const { type, mode, uid, gid, size, mtime, mtimeNanoseconds, storedSize, major, minor } = entry;
  const device = major === undefined || minor === undefined ? {} : { major, minor };
  return { type, mode, uid, gid, size, mtime, mtimeNanoseconds, allocated: storedSize, ...device };
}

function nodeOf(entry: TarEntry, inode: number): Node {
  const { dataOffset, size } = entry;
  const segments = entry.segments ?? [{ position: 0, offset: dataOffset, length: size }];
  return {
    inode,
    stat: statOf(entry),
    links: 1,
    ...(entry.type === 'symlink' ? { link: entry.link ?? '' } : {}),
    ...(entry.type === 'directory' ? { children: new Map() } : {}),
    ...(entry.xattrs ? { xattrs: entry.xattrs } : {}),
    ...(entry.type === 'file' ? { segments } : {}),
  };
}

function badEntry(name: string, { path, headerOffset }: TarEntry, what: string): UserError {
  return new UserError(
    'TAR_BAD_LINK',
    `${name}: entry "${path}" at offset ${headerOffset}: ${what}`,
    'The archive is damaged or incomplete; make it again.',
  );
}
