import { MiB, UserError, type ContentSource, type Tree, type TreeEntry } from '@boxship/model';
import { MAX_ROOTFS_ENTRIES } from './tar-rootfs.ts';
import type { FileStat, RootfsReader } from './rootfs-reader.ts';

export interface RootfsTreeOptions {
  /** Equal ids promise equal bytes of all files: the digest of what the reader reads. */
  readonly id: string;
  /** Entries that it may have; default MAX_ROOTFS_ENTRIES. */
  readonly maxEntries?: number;
}

const CHUNK = MiB;

/**
 * Everything in a root file system but the root's own `lost+found`, sorted by path: owners, modes, times, extended attributes,
 * device numbers; hard links are links to the one that comes first. Bytes of files are read when their sources are opened.
 * Errors: ROOTFS_TOO_MANY_ENTRIES, those of the reader.
 */
export async function readRootfsTree(
  reader: RootfsReader,
  { id, maxEntries = MAX_ROOTFS_ENTRIES }: RootfsTreeOptions,
): Promise<Tree> {
  const entries: TreeEntry[] = [];
  const firstOf = new Map<number, string>();
  const add = async (path: string, stat: FileStat): Promise<void> => {
    if (entries.length >= maxEntries) {
      throw new UserError(
        'ROOTFS_TOO_MANY_ENTRIES',
        `the root file system has more than ${maxEntries} entries: that is none of a device`,
        'Is it the right one? Files of an application belong into its container image.',
      );
    }
    const { type, mode, uid, gid, mtime, mtimeNanoseconds, inode, links } = stat;
    const common = { path, mode, uid, gid, mtime, mtimeNanoseconds };
    const first = type === 'directory' || links < 2 ? undefined : firstOf.get(inode);
    if (first !== undefined) return void entries.push({ ...common, type: 'hardlink', size: 0, link: first });
    if (type !== 'directory' && links > 1) firstOf.set(inode, path);
    const xattrs = await reader.xattrs(path, false);
    const more = xattrs.length > 0 ? { xattrs } : {};
    if (type === 'file') {
      const content = stat.size > 0 ? { content: { source: sourceOf(reader, `${id}:${inode}`, path, stat.size), offset: 0 } } : {}; // prettier-ignore
      return void entries.push({ ...common, type, size: stat.size, ...content, ...more });
    }
    if (type === 'symlink') return void entries.push({ ...common, type, size: 0, link: await reader.readLink(path), ...more }); // prettier-ignore
    if (type === 'characterDevice' || type === 'blockDevice') {
      return void entries.push({ ...common, type, size: 0, major: stat.major ?? 0, minor: stat.minor ?? 0, ...more });
    }
    entries.push({ ...common, type, size: 0, ...more });
    if (type !== 'directory') return;
    for (const { name } of await reader.readDirectory(path)) {
      if (path === '' && name === 'lost+found') continue;
      const inside = path === '' ? name : `${path}/${name}`;
      await add(inside, (await reader.lstat(inside))!);
    }
  };
  await add('', (await reader.lstat(''))!);
  return { entries: () => entries };
}

function sourceOf(reader: RootfsReader, id: string, path: string, size: number): ContentSource {
  return {
    id,
    size,
    async *open(signal) {
      for (let at = 0; at < size; at += CHUNK) {
        signal?.throwIfAborted();
        const bytes = await reader.readRange(path, at, Math.min(CHUNK, size - at));
        if (bytes.length === 0) throw new Error(`/${path} ends at ${at}, ${size - at} bytes too early`);
        yield bytes;
      }
    },
  };
}
