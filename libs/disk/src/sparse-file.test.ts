import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fileWriter, openFileReader } from '@boxship/host';
import { MiB, type ByteRange } from '@boxship/model';
import { cloneOrCopyFile, copySparse } from './sparse-file.ts';
import { itNeeds } from './test-disks.ts';
import { runProgram } from '@boxship/host';

let folder = '';
let content: Buffer;
let source = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-disk-'));
  content = Buffer.alloc(9 * MiB + 123);
  content[0] = 1; // block 0
  content[4096 * 2 - 1] = 1; // the last byte of block 1
  content[4096 * 5] = 1; // block 5 alone
  randomBytes(100_000).copy(content, 3 * MiB + 5000);
  content[content.length - 1] = 1;
  source = join(folder, 'source');
  await writeFile(source, content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const whole = (): ByteRange[] => [{ start: 0, end: content.length }];

async function copy(ranges: readonly ByteRange[], byHandle: boolean) {
  const path = join(folder, 'target');
  await rm(path, { force: true });
  const target = await open(path, 'wx');
  const handle = await open(source, 'r');
  const reader = await openFileReader(source);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const written = await copySparse(byHandle ? handle : reader, fileWriter(target), ranges, {
      hash,
      onBytes: (count) => (bytes += count),
    });
    await target.truncate(content.length);
    return { path, written, bytes, digest: hash.digest('hex') };
  } finally {
    await Promise.all([target.close(), handle.close(), reader.close()]);
  }
}

for (const byHandle of [true, false]) {
  it(`copies a file and leaves blocks of zeros as holes, from ${byHandle ? 'a handle' : 'a reader'}`, async () => {
    const { path, written, bytes, digest } = await copy(whole(), byHandle);
    expect(content.equals(await readFile(path))).toBe(true);
    expect(written).toEqual([
      { start: 0, end: 8192 },
      { start: 20480, end: 24576 },
      { start: 3 * MiB + 4096, end: 3 * MiB + 4096 * 26 },
      { start: 9 * MiB, end: 9 * MiB + 123 },
    ]);
    expect(bytes).toBe(content.length);
    expect(digest).toBe(createHash('sha256').update(content).digest('hex'));
    const { blocks } = await stat(path);
    expect(blocks * 512).toBe(4096 * (2 + 1 + 25 + 1));
  });
}

it('copies no byte outside of the ranges, however they are cut', async () => {
  const ranges = [
    { start: 1, end: 5000 },
    { start: 3 * MiB + 5001, end: 3 * MiB + 5002 },
    { start: 3 * MiB + 50_000, end: 9 * MiB + 100 },
  ];
  const { path } = await copy(ranges, true);
  const expected = Buffer.alloc(content.length);
  for (const { start, end } of ranges) content.copy(expected, start, start, end);
  expect(expected.equals(await readFile(path))).toBe(true);
});

it('says so when the source ends too early', async () => {
  await expect(copy([{ start: 0, end: content.length + 1 }], true)).rejects.toThrow(`ends at ${content.length}`);
});

it('clones or copies a file, and never over one that is there', async () => {
  const path = join(folder, 'clone');
  expect(['cloned', 'copied']).toContain(await cloneOrCopyFile(source, path));
  expect(content.equals(await readFile(path))).toBe(true);
  await expect(cloneOrCopyFile(source, path)).rejects.toMatchObject({ code: 'EEXIST' });
});

itNeeds('cmp')('copies beyond 4 GiB, at no cost where nothing is', async () => {
  const large = join(folder, 'large');
  await writeFile(large, 'start');
  await truncate(large, 4096 * MiB + 5);
  const handle = await open(large, 'r+');
  await handle.write(Buffer.from('end'), 0, 3, 4096 * MiB + 2);
  await handle.close();
  const target = join(folder, 'large.copy');
  const to = await open(target, 'wx');
  const from = await open(large, 'r');
  const ranges = [
    { start: 0, end: MiB },
    { start: 4095 * MiB, end: 4096 * MiB + 5 },
  ];
  const written = await copySparse(from, fileWriter(to), ranges);
  await Promise.all([to.close(), from.close()]);
  expect(written).toEqual([
    { start: 0, end: 4096 },
    { start: 4096 * MiB, end: 4096 * MiB + 5 },
  ]);
  await runProgram('cmp', ['--bytes=10', `--ignore-initial=${4096 * MiB - 5}`, large, target]);
});

it.each([true, false])(
  'lays patches over what it copies, and tells how far it is (by handle: %s)',
  async (byHandle) => {
    const patches = [
      { position: 0, bytes: Buffer.alloc(4096) }, // leaves no data in block 0
      { position: 2 * MiB - 7, bytes: Buffer.from('over the edge of two reads') },
      { position: 6 * MiB, bytes: Buffer.alloc(5 * MiB, 7) }, // longer than two reads, and beyond the end
    ];
    const expected = Buffer.alloc(11 * MiB);
    content.copy(expected);
    for (const { position, bytes } of patches) expected.set(bytes, position);
    const path = join(folder, 'patched');
    await rm(path, { force: true });
    await using target = await open(path, 'wx+');
    await using handle = await open(source, 'r');
    // a reader that keeps its bytes: they must stay what they are
    const reader = { size: content.length, read: (at: number, length: number) => Promise.resolve(content.subarray(at, at + length)) }; // prettier-ignore
    const before = Buffer.from(content);
    const ends: number[] = [];
    const onCopied = (end: number) => ends.push(end);
    const written = await copySparse(byHandle ? handle : reader, fileWriter(target), whole(), { patches, onCopied });
    await target.truncate(content.length);
    expect((await readFile(path)).equals(expected.subarray(0, content.length))).toBe(true);
    expect(written[0]!.start).toBeGreaterThan(0);
    expect(content.equals(before)).toBe(true);
    expect(ends).toEqual([...[2, 4, 6, 8].map((count) => count * MiB), content.length]);
  },
);
