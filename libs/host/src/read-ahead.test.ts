import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readAhead } from './read-ahead.ts';
import { runProgram } from './run-program.ts';

const MiB = 1024 * 1024;
const SIZE = 96 * MiB;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-ahead-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** mincore(2), which tells of each page of a mapping whether it is in memory. */
const MINCORE = `
import ctypes, mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(file).st_size
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
assert libc.mincore(at, size, pages) == 0, os.strerror(ctypes.get_errno())
print(sum(page & 1 for page in pages.raw) * mmap.PAGESIZE)
`;

/** Bytes of the file that the page cache holds, as the kernel says. */
async function cached(path: string): Promise<number> {
  const { stdout } = await runProgram('python3', ['-c', MINCORE, path]);
  return Number(stdout.toString());
}

/** A file of `SIZE` bytes of which the page cache holds nothing; undefined where files live in memory alone (tmpfs). */
async function coldFile(name: string): Promise<string | undefined> {
  const path = join(folder, name);
  const handle = await open(path, 'w');
  for (let at = 0; at < SIZE; at += 8 * MiB) await handle.write(randomBytes(8 * MiB));
  await handle.sync();
  await handle.close();
  await runProgram('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
  return (await cached(path)) === 0 ? path : undefined;
}

const hasPython = spawnSync('python3', ['--version']).error === undefined;
const whereItShows = it.skipIf(!hasPython && !process.env['CI']);

describe('a file that is read ahead', () => {
  whereItShows('is in the page cache as far as 32 MiB before its reader, and no further', async ({ skip }) => {
    const path = await coldFile('steady');
    if (!path) return skip('temporary files live in memory here');
    const file = readAhead(path);
    const settled = async (bytes: number) => {
      await vi.waitFor(async () => expect(await cached(path)).toBeGreaterThanOrEqual(bytes), 20_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return await cached(path);
    };
    expect(await settled(32 * MiB)).toBeLessThan(48 * MiB); // the kernel itself reads a little further
    file.passed(16 * MiB);
    expect(await settled(48 * MiB)).toBeLessThan(64 * MiB);
    file.passed(SIZE);
    await file[Symbol.asyncDispose]();
    file.passed(SIZE); // nothing more
  });

  whereItShows('is not read where its reader has been', async ({ skip }) => {
    const path = await coldFile('quick');
    if (!path) return skip('temporary files live in memory here');
    await using file = readAhead(path);
    file.passed(SIZE - 16 * MiB); // before the first read is done
    await vi.waitFor(async () => expect(await cached(path)).toBeGreaterThanOrEqual(16 * MiB), 20_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await cached(path)).toBeLessThan(32 * MiB);
  });

  it('may be missing or shorter than its reader thinks: that is for the reader to say', async () => {
    await using missing = readAhead(join(folder, 'missing'));
    missing.passed(MiB);
    const path = join(folder, 'short');
    await (await open(path, 'w')).close();
    await using short = readAhead(path);
    short.passed(64 * MiB);
    await new Promise((resolve) => setTimeout(resolve, 50));
    short.passed(128 * MiB);
  });
});
