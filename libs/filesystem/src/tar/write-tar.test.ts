import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { bytesSource, type ContentSource, type TreeEntry } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itNeeds, listWithPython, makeTree, readBack } from './test-archives.ts';
import { writeTar } from './write-tar.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-tar-writer-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withPrograms = await itNeeds('tar', 'python3');

const collect = async (entries: readonly TreeEntry[]) => {
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar({ entries: () => entries })) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
};

describe('what writeTar writes', () => {
  withPrograms("python reads as GNU tar's archive of the same tree, GNU tar lists alike", async () => {
    const tree = join(folder, 'tree');
    await mkdir(tree);
    await makeTree(tree);
    const theirs = join(folder, 'theirs.tar');
    await runProgram('tar', ['-cf', theirs, '--format=pax', '--sparse', '--xattrs', '--xattrs-include=*', '--sort=name', '-C', tree, '.']); // prettier-ignore
    const archive = await readFile(theirs);
    const source = bytesSource('theirs', archive);
    const entries = readBack(archive).entries.map(({ rawName: _, headerOffset: _h, storedSize: _s, dataOffset, segments, ...entry }) => ({
      ...entry,
      ...(entry.size === 0 ? {} : { content: segments ? { source, segments } : { source, offset: dataOffset } }),
    })); // prettier-ignore
    const ours = join(folder, 'ours.tar');
    await writeFile(ours, await collect(entries));
    const clean = (path: string) => (path === '.' ? '' : path.replace(/^\.\//, ''));
    const oracle = (await listWithPython(theirs)).map((e) => ({ ...e, path: clean(e.path), ...(e.type === 'hardlink' ? { link: clean(e.link!) } : {}) })); // prettier-ignore
    expect((await listWithPython(ours)).map((e) => ({ ...e, path: clean(e.path) }))).toEqual(oracle);
    const list = async (path: string) =>
      (await runProgram('tar', ['-tf', path, '-v', '--full-time', '--numeric-owner'])).stdout
        .toString()
        .replaceAll('./', '');
    expect(await list(ours)).toBe(await list(theirs));
    expect((await collect(entries)).equals(await readFile(ours))).toBe(true);
  });

  withPrograms('a file of 9 GiB states its size in a PAX header', async () => {
    const head = (await firstChunk({ size: 9 * 1024 ** 3 })).subarray(0, 1536);
    const path = join(folder, 'head.tar');
    await writeFile(path, head);
    await runProgram('truncate', ['-s', String(1536 + 9 * 1024 ** 3 + 1024), path]);
    const { stdout } = await runProgram('tar', ['-tvf', path]);
    expect(stdout.toString()).toContain(' 9663676416 ');
  });
});

async function firstChunk(change: Partial<TreeEntry>): Promise<Buffer> {
  const entry: TreeEntry = { path: 'f', type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0, size: 0, ...change }; // prettier-ignore
  for await (const chunk of writeTar({ entries: () => [entry] })) return Buffer.from(chunk);
  throw new Error('nothing was written');
}

describe('sources', () => {
  const counted = (
    bytes: Buffer,
    chunk: number,
  ): { source: ContentSource; opened: () => number; closed: () => number } => {
    let opened = 0;
    let closed = 0;
    const source: ContentSource = {
      id: 'counted',
      size: bytes.length,
      async *open() {
        opened++;
        try {
          for (let at = 0; at < bytes.length; at += chunk) {
            await Promise.resolve();
            yield bytes.subarray(at, at + chunk);
          }
        } finally {
          closed++;
        }
      },
    };
    return { source, opened: () => opened, closed: () => closed };
  };
  const file = (path: string, source: ContentSource, offset: number, size: number): TreeEntry => ({
    path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0, size, content: { source, offset },
  }); // prettier-ignore

  it('are opened once for files in the order of their offsets, and again for one that lies before', async () => {
    const bytes = Buffer.from(Array.from({ length: 10000 }, (_, i) => i & 255));
    const { source, opened, closed } = counted(bytes, 333);
    const inOrder = [file('a', source, 10, 1000), file('b', source, 1010, 5000), file('c', source, 9000, 1000)];
    const archive = await collect(inOrder);
    expect(opened()).toBe(1);
    expect(archive.subarray(512, 1512).equals(bytes.subarray(10, 1010))).toBe(true);
    await collect([...inOrder].reverse());
    expect(opened()).toBe(4);
    expect(closed()).toBe(opened());
  });

  it('that end too early are an error', async () => {
    const { source, closed } = counted(Buffer.alloc(100), 50);
    await expect(collect([file('a', source, 50, 51)])).rejects.toThrow('counted ends at 100, 1 bytes too early');
    expect(closed()).toBe(1);
  });

  it('a socket has no place in a tar', async () => {
    await expect(firstChunk({ path: 'run/s', type: 'socket' })).rejects.toThrow('"run/s" is a socket');
  });
});
