import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openFileReader, runProgram } from '@boxship/host';
import { bytesSource, readerSlice, type TreeEntry } from '@boxship/model';
import { openExt4, type Ext4Reader } from './ext4-reader.ts';

/** For tests: a small ext4 made by mke2fs from a list of files, at an offset in a disk file. */
export interface RootfsFixture extends AsyncDisposable {
  readonly folder: string;
  readonly file: string;
  readonly offset: number;
  /** Runs debugfs on the filesystem and returns what it printed. */
  debugfs(request: string): Promise<string>;
  /** Fails unless e2fsck has nothing to say. */
  fsck(): Promise<void>;
  open<T>(work: (fs: Ext4Reader) => Promise<T>): Promise<T>;
}

/** Values are contents; `-> target` makes a symlink, a name that ends with `/` a directory. */
export async function makeRootfs(
  files: Readonly<Record<string, string>>,
  { offset = 1024 * 1024, size = 16 * 1024 * 1024, options = [] as readonly string[] } = {},
): Promise<RootfsFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'boxship-rootfs-'));
  const root = join(folder, 'root');
  await mkdir(root);
  for (const [path, content] of Object.entries(files)) {
    const at = join(root, path);
    await mkdir(path.endsWith('/') ? at : dirname(at), { recursive: true });
    if (content.startsWith('-> ')) await symlink(content.slice(3), at);
    else if (!path.endsWith('/')) await writeFile(at, content, { mode: /\/s?bin\//.test(`/${path}`) ? 0o755 : 0o644 });
  }
  const image = join(folder, 'image');
  await writeFile(image, '');
  await truncate(image, size);
  const env = { E2FSPROGS_FAKE_TIME: '1700000000' };
  const fixed = ['-U', '11111111-2222-4333-8444-555555555555', '-E', 'hash_seed=66666666-2222-4333-8444-555555555555,root_owner=0:0'];
  await runProgram('mke2fs', ['-q', '-t', 'ext4', ...fixed, ...options, '-d', root, image], { env });
  const file = join(folder, 'disk image?.img');
  const bytes = Buffer.alloc(offset + size, 0xa5);
  bytes.set(await readFile(image), offset);
  await writeFile(file, bytes);
  await symlink(file, join(folder, 'link'));
  const device = `${join(folder, 'link')}?offset=${offset}`;
  return {
    folder,
    file,
    offset,
    async debugfs(request) {
      return (await runProgram('debugfs', ['-R', request, device])).stdout.toString();
    },
    async fsck() {
      await runProgram('e2fsck', ['-fn', device]);
    },
    async open(work) {
      await using reader = await openFileReader(file);
      return await work(await openExt4(readerSlice(reader, offset, reader.size - offset)));
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
} // prettier-ignore

/** A directory, symlink (`-> target`) or file for an edit. */
export function editEntry(path: string, content: string | undefined, rest: Partial<TreeEntry> = {}): TreeEntry {
  const common = { path, mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNanoseconds: 0, size: 0, ...rest };
  if (content === undefined) return { ...common, mode: rest.mode ?? 0o755, type: 'directory' };
  if (content.startsWith('-> ')) return { ...common, type: 'symlink', link: content.slice(3) };
  const bytes = Buffer.from(content);
  return { ...common, type: 'file', size: bytes.length, content: { source: bytesSource(path, bytes), offset: 0 } };
}
