import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDirectWay, runProgram } from '@boxship/host';
import type { ByteRange, DirectWay, ScatterTarget } from '@boxship/model';
import { copyInThread } from './copy-in-thread.ts';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-copy-'));
  path = join(folder, 'earlier');
  await writeFile(path, earlier);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const earlier = randomBytes(5_000_000);
const from: readonly ByteRange[] = [{ start: 4096, end: 3_004_096 }, { start: 3_500_000, end: 4_000_001 }]; // prettier-ignore
const wanted = Buffer.concat(from.map(({ start, end }) => earlier.subarray(start, end)));
const sha256 = createHash('sha256').update(wanted).digest('hex');
/** The same bytes, cut elsewhere. */
const to: readonly ByteRange[] = [{ start: 0, end: 1_000_000 }, { start: 2_000_000, end: 4_500_001 }]; // prettier-ignore

let directWay: DirectWay | undefined;
async function copy(
  source: string,
  ranges: readonly ByteRange[],
  target = join(folder, 'target'),
  signal?: AbortSignal,
) {
  if (target.startsWith(folder)) await writeFile(target, Buffer.alloc(4_500_000, 0xff));
  const handle = await open(target, 'r+');
  const told: (number | string)[] = [];
  const one: ScatterTarget = {
    ...{ descriptor: handle.fd, path: target, start: 7, directWay },
    pieces: { lowest: 0, ascending: true, run: { sequence: 'a', ranges }, batches: () => expect.fail('no need') },
    onWritten: (_bytes, pending) => told.push(pending),
    onRewritten: () => told.push('rewritten'),
    onContent: (digest) => told.push(digest),
  };
  try {
    return { done: await copyInThread({ path: source, ranges: from, sha256 }, [one], { signal }), told };
  } finally {
    await handle.close();
  }
}

describe.each([
  ['through the page cache', undefined],
  ['past it', newDirectWay()],
])('a copy out of an earlier image, %s,', (_, way) => {
  beforeAll(() => void (directWay = way));

  it('is its bytes at their places, digested', async () => {
    const { done, told } = await copy(path, to);
    expect(done).toBe(true);
    expect(told.slice(-2)).toEqual([Infinity, sha256]);
    expect(told).toEqual([...told.slice(0, -1).sort((a, b) => Number(a) - Number(b)), sha256]);
    const file = join(folder, 'target');
    await runProgram('cmp', ['-n', '1000000', '-i', '4096:7', path, file]);
    await runProgram('cmp', ['-n', '2000000', '-i', '1004096:2000007', path, file]);
    await runProgram('cmp', ['-n', '500001', '-i', '3500000:4000007', path, file]);
    const bytes = await readFile(file);
    expect(bytes.subarray(1_000_007, 2_000_007).every((byte) => byte === 0xff)).toBe(true);
  });

  it.each([
    ['one flipped byte', (bytes: Buffer) => bytes.fill(bytes[3_999_999]! ^ 1, 3_999_999, 4_000_000)],
    ['a file that ends too early', (bytes: Buffer) => bytes.subarray(0, 4_000_000)],
  ])('is none with %s, and nobody takes it for what was to be written', async (_, change) => {
    const bad = join(folder, 'bad');
    await writeFile(bad, change(Buffer.from(earlier)));
    const { done, told } = await copy(bad, to);
    expect(done).toBe(false);
    expect(told.at(-1)).toBe('rewritten');
    expect(told).not.toContain(sha256);
  });

  it('is none when there is no such file, or the target wants another length', async () => {
    expect(await copy(join(folder, 'none'), to)).toEqual({ done: false, told: ['rewritten'] });
    expect(await copy(path, [{ start: 0, end: wanted.length + 1 }])).toEqual({ done: false, told: [] });
  });

  it('tells of a full disk, and stops when it is told to', async () => {
    await expect(copy(path, to, '/dev/full')).rejects.toMatchObject({ code: 'ENOSPC', path: '/dev/full' });
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(copy(path, to, undefined, stop)).rejects.toThrow('enough');
  });
});
