import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bucket, writeBolt, type Bucket } from './index.ts';
import { buildBoltTool, runTool, whyNoGo } from './testing/bolt-tool.ts';

let folder = '';
let tool = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-bbolt-'));
  if (whyNoGo() === undefined) tool = await buildBoltTool();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `a/b/c = "value"` for every value, `a/b/ (sequence)` for every bucket, in the order of the keys. */
function listed({ entries, sequence }: Bucket, prefix = ''): string[] {
  return [
    ...(prefix === '' ? [] : [`${prefix} ${sequence}`]),
    ...entries.flatMap(({ key, value }) => {
      const path = `${prefix}${Buffer.from(key).toString('hex')}`;
      return value instanceof Uint8Array ? [`${path} = ${Buffer.from(value).toString('hex')}`] : listed(value, `${path}/`);
    }),
  ]; // prettier-ignore
}

const many = (count: number, size: number) =>
  bucket(Array.from({ length: count }, (_, i) => [`key-${i}`, Buffer.alloc(size, i)] as const));

const SAMPLES: Readonly<Record<string, Bucket>> = {
  'nothing in it': bucket([]),
  'an empty bucket': bucket([['v1', bucket([])]]),
  'an inline bucket of 1024 bytes, and one of 1025': bucket([
    ['fits', bucket([['k', Buffer.alloc(1024 - 16 - 16 - 1)]], 7)],
    ['not', bucket([['k', Buffer.alloc(1024 - 16 - 16)]], 8)],
  ]),
  'buckets in buckets': bucket([['v1', bucket([['ns', bucket([['x', bucket([['y', bucket([['z', '']])]])]])], ['version', '\b']])]]), // prettier-ignore
  'a value of several pages': bucket([['v1', bucket([['a', Buffer.alloc(10_000, 1)], ['b', '2'], ['c', Buffer.alloc(4096)]])]]), // prettier-ignore
  'keys in any order and of any bytes': bucket([['v1', bucket([['b', '1'], ['a', '2'], [Buffer.from([255]), '3'], [Buffer.from([0]), '4'], ['é', '5']])]]), // prettier-ignore
  'pages of leaves': bucket([['v1', many(1000, 30)]]),
  'three levels': bucket([['v1', many(60_000, 40)]]),
  'keys as long as they may be': bucket([['v1', bucket(Array.from({ length: 9 }, (_, i) => [Buffer.alloc(32_768, i), 'x'] as const))]]), // prettier-ignore
};

describe.skipIf(whyNoGo())('bbolt', () => {
  it.each(Object.keys(SAMPLES))('checks, reads and writes on in: %s', async (name) => {
    const file = join(folder, 'sample.db');
    await writeFile(file, writeBolt(SAMPLES[name]!));
    const lines = listed(SAMPLES[name]!);
    expect(await runTool(tool, ['list', file])).toEqual(lines);
    await runTool(tool, ['change', file]); // adds a bucket, deletes every second value, puts them back, in four transactions
    expect(await runTool(tool, ['list', file])).toEqual(lines);
  });

  it('finds fault with a file that is damaged', async () => {
    const file = join(folder, 'damaged.db');
    const bytes = writeBolt(SAMPLES['three levels']!);
    bytes[4096 * 10 + 8] = 0xff; // the kind of a page
    await writeFile(file, bytes);
    await expect(runTool(tool, ['list', file])).rejects.toThrow();
  });
});

describe('writeBolt', () => {
  it('gives equal bytes for equal buckets', () => {
    const make = () => writeBolt(bucket([['v1', bucket([['b', '1'], ['a', '2']], 3)]])); // prettier-ignore
    expect(make()).toEqual(make());
  });

  it('takes no key twice, and none that is empty or too long', () => {
    expect(() => bucket([['a', '1'], ['a', '2']])).toThrow('the key "a" twice'); // prettier-ignore
    expect(() => bucket([['', '1']])).toThrow('a key of 0 bytes');
    expect(() => bucket([[Buffer.alloc(32_769), '1']])).toThrow('a key of 32769 bytes');
  });
});
