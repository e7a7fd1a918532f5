import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError, type RandomReader } from '@boxship/model';
import { bucket, readBolt, writeBolt, type BoltBucket, type Bucket } from './index.ts';
import { buildBoltTool, runTool, whyNoGo } from './testing/bolt-tool.ts';

const numbered = (count: number, size: number) =>
  bucket(Array.from({ length: count }, (_, i) => [`key-${i}`, Buffer.alloc(size, i)] as const));

const SAMPLES: Readonly<Record<string, Bucket>> = {
  'nothing in it': bucket([]),
  'inline buckets': bucket([['v1', bucket([['default', bucket([['images', bucket([['a', '1']])]])]])]]),
  'a value of several pages': bucket([['v1', bucket([['a', Buffer.alloc(10_000, 1)], ['b', '2']])]]), // prettier-ignore
  'three levels': bucket([['v1', numbered(60_000, 40)]]),
  'keys of any bytes': bucket([
    [
      'v1',
      bucket([
        ['b', '1'],
        [Buffer.from([255]), '3'],
        [Buffer.from([0]), '4'],
      ]),
    ],
  ]),
};

let folder = '';
let tool = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-bbolt-'));
  if (whyNoGo() === undefined) tool = await buildBoltTool();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function reader(bytes: Uint8Array): RandomReader {
  return { size: bytes.length, read: async (start, length) => Uint8Array.from(bytes.subarray(start, start + length)) };
}

/** Every value as `a/b/c = value`, hexadecimal: what the tool prints, without its lines for buckets. */
async function listed(of: BoltBucket, prefix = ''): Promise<string[]> {
  const lines: string[] = [];
  for await (const { key, value } of of.entries()) {
    const path = `${prefix}${key.toString('hex')}`;
    if (value instanceof Uint8Array) lines.push(`${path} = ${Buffer.from(value).toString('hex')}`);
    else lines.push(...(await listed(value, `${path}/`)));
  }
  return lines;
}

describe.skipIf(whyNoGo())('readBolt', () => {
  it.each(Object.keys(SAMPLES))('reads what bbolt reads, and what it has changed since: %s', async (name) => {
    const file = join(folder, 'sample.db');
    await writeFile(file, writeBolt(SAMPLES[name]!));
    await runTool(tool, ['change', file]); // four transactions: deletes, splits, pages in use again
    const wanted = (await runTool(tool, ['list', file])).filter((line) => line.includes(' = '));
    expect(await listed(await readBolt(reader(await readFile(file)), file))).toEqual(wanted);
  });
});

describe('readBolt, asked for one thing', () => {
  it('finds it among many and reads few pages', async () => {
    const bytes = writeBolt(bucket([['v1', bucket([['images', numbered(60_000, 40)]])]]));
    let read = 0;
    const counting: RandomReader = { ...reader(bytes), read: async (start, length) => ((read += length), bytes.subarray(start, start + length)) }; // prettier-ignore
    const images = await (await (await readBolt(counting, 'x')).bucket('v1'))!.bucket('images');
    expect(Buffer.from((await images!.get('key-41234'))!)).toEqual(Buffer.alloc(40, 41234));
    expect(await images!.get('key-60000')).toBeUndefined();
    expect(await images!.bucket('key-1')).toBeUndefined();
    expect(read).toBeLessThan(bytes.length / 50);
  });
});

describe('a database that is damaged', () => {
  const sound = Buffer.from(writeBolt(bucket([['v1', bucket([['images', numbered(500, 40)]])]])));
  const outcome = async (bytes: Buffer) =>
    await readBolt(reader(bytes), 'meta.db')
      .then(listed)
      .catch((error: unknown) => error);

  it('is an error, whatever is wrong: cut off, empty, no metas, a page that refers to itself', async () => {
    const circle = Buffer.from(sound);
    const branch = [...Array(circle.length / 4096).keys()].find((id) => circle.readUInt16LE(id * 4096 + 8) === 1)!;
    for (let at = 0; at < circle.readUInt16LE(branch * 4096 + 10); at++) {
      circle.writeBigUInt64LE(BigInt(branch), branch * 4096 + 16 + at * 16 + 8);
    }
    const noMetas = Buffer.from(sound).fill(0, 0, 8192);
    for (const bytes of [sound.subarray(0, 3 * 4096), Buffer.alloc(0), noMetas, circle]) {
      const error = await outcome(bytes);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).code).toBe('BOLT_DAMAGED');
    }
  });

  it('is read through the older meta when the newer one was not written to its end', async () => {
    const torn = Buffer.from(sound).fill(0xff, 4096 + 16, 4096 + 80);
    expect(await outcome(torn)).toEqual(await outcome(sound));
  });

  it('ends with an error or with lines, never in a loop or a crash, wherever a byte is wrong', async () => {
    let seed = 1;
    const random = (below: number) => (seed = (seed * 48_271) % 0x7fffffff) % below;
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(sound);
      for (let i = 0; i < 4; i++) bytes[8192 + random(bytes.length - 8192)] = random(256);
      const result = await outcome(bytes);
      if (!Array.isArray(result)) expect((result as UserError).code).toBe('BOLT_DAMAGED');
    }
  });
});
