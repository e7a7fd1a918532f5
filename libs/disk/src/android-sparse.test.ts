import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { MiB, type ByteRange, type UserError } from '@boxship/model';
import { androidSparse, planAndroidSparse, sparsePartLimit, type SparsePart } from './android-sparse.ts';
import { decompressFile } from './disk-image.ts';
import { itNeeds, overwrite } from './test-disks.ts';

let folder = '';
let image = '';
const SIZE = 40 * MiB;
/** What is written: noise, zeros that matter, words that repeat, and their mixtures. */
const MAPPED: ByteRange[] = [
  { start: 0, end: 9 * MiB + 4096 },
  { start: 12 * MiB, end: 20 * MiB },
  { start: 39 * MiB, end: SIZE },
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-sparse-'));
  image = join(folder, 'image');
  await writeFile(image, randomBytes(5 * MiB));
  await truncate(image, SIZE);
  await overwrite(image, 6 * MiB, Buffer.alloc(MiB, 'abcd'));
  await overwrite(image, 7 * MiB, Buffer.alloc(4096, 'efgh'));
  await overwrite(image, 7 * MiB + 8192, Buffer.from('not a fill: its last word differs'));
  await overwrite(image, 8 * MiB, Buffer.concat([Buffer.alloc(4092), Buffer.from('tail')]));
  await overwrite(image, 12 * MiB, randomBytes(8 * MiB));
  await overwrite(image, SIZE - 4096, randomBytes(4096));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function writeParts(name: string, parts: readonly SparsePart[], source = image): Promise<string[]> {
  const { size } = await stat(source);
  const files: string[] = [];
  const handle = await open(source, 'r');
  for (const [index, part] of parts.entries()) {
    const chunks: Buffer[] = [];
    for await (const chunk of androidSparse(handle, size, part)) chunks.push(Buffer.from(chunk));
    const file = join(folder, `${name}.${index}`);
    await writeFile(file, Buffer.concat(chunks));
    files.push(file);
  }
  await handle.close();
  return files;
}

const fault = (work: () => unknown): UserError => {
  try {
    work();
  } catch (error) {
    return error as UserError;
  }
  return expect.fail('no error');
};

describe('an Android sparse image', () => {
  itNeeds('simg2img')('is unfolded by simg2img to the same bytes, and is small', async () => {
    const files = await writeParts('whole', planAndroidSparse(MAPPED, SIZE));
    expect(files).toHaveLength(1);
    const plain = join(folder, 'plain');
    await runProgram('simg2img', [files[0]!, plain]);
    expect((await readFile(plain)).equals(await readFile(image))).toBe(true);
    // 5 + 8 MiB of noise and some blocks
    expect((await stat(files[0]!)).size).toBeLessThan(13.1 * MiB);
  });

  itNeeds('simg2img')('is split for fastboot: no file is larger than asked, all together are the image', async () => {
    for (const limit of [3 * MiB, MiB + 1, 8 * MiB, 64 * MiB]) {
      const parts = planAndroidSparse(MAPPED, SIZE, limit);
      const files = await writeParts(`split-${limit}`, parts);
      expect(parts.length).toBeGreaterThanOrEqual(Math.floor((18 * MiB) / limit));
      for (const [index, file] of files.entries()) {
        const { size } = await stat(file);
        expect(size).toBeLessThanOrEqual(sparsePartLimit(parts[index]!));
        expect(sparsePartLimit(parts[index]!)).toBeLessThanOrEqual(limit);
      }
      const plain = join(folder, `plain-${limit}`);
      await runProgram('simg2img', [...files, plain]);
      expect((await readFile(plain)).equals(await readFile(image))).toBe(true);
    }
  });

  itNeeds('simg2img')('of blocks that are all nearly fills keeps its limit, too', async () => {
    const worst = join(folder, 'worst'); // fill, raw, fill, raw …
    await writeFile(worst, Buffer.concat(Array.from({ length: 512 }, (_, i) => (i % 2 ? randomBytes(4096) : Buffer.alloc(4096, i + 1))))); // prettier-ignore
    const limit = 100_000;
    const parts = planAndroidSparse([{ start: 0, end: 2 * MiB }], 2 * MiB, limit);
    const files = await writeParts('worst', parts, worst);
    for (const file of files) expect((await stat(file)).size).toBeLessThanOrEqual(limit);
    await runProgram('simg2img', [...files, join(folder, 'worst.plain')]);
    expect((await readFile(join(folder, 'worst.plain'))).equals(await readFile(worst))).toBe(true);
  });

  itNeeds('simg2img')('of an image that ends within a block is filled up with zeros', async () => {
    const odd = join(folder, 'odd');
    await writeFile(odd, randomBytes(5000));
    const files = await writeParts('odd', planAndroidSparse([{ start: 0, end: 5000 }], 5000), odd);
    await runProgram('simg2img', [files[0]!, join(folder, 'odd.plain')]);
    const plain = await readFile(join(folder, 'odd.plain'));
    expect(plain.equals(Buffer.concat([await readFile(odd), Buffer.alloc(8192 - 5000)]))).toBe(true);
  });

  it('refuses a limit without room for a block', () => {
    expect(fault(() => planAndroidSparse(MAPPED, SIZE, 4096)).code).toBe('SPARSE_LIMIT');
    const least = sparsePartLimit([{ start: 0, end: 4096 }]);
    expect(planAndroidSparse([{ start: 0, end: 3 * 4096 }], SIZE, least)).toHaveLength(3);
  });
}); // prettier-ignore

describe('reading one', () => {
  const read = async (bytes: Uint8Array, name = 'given'): Promise<Buffer> => {
    const [file, plain] = [join(folder, name), join(folder, `${name}.plain`)];
    await rm(plain, { force: true });
    await writeFile(file, bytes);
    await decompressFile(file, 'simg', plain);
    return await readFile(plain);
  };
  const refusal = async (bytes: Uint8Array): Promise<string> => {
    const error = await read(bytes).then(
      () => expect.fail('no error'),
      (thrown: unknown) => thrown as UserError,
    );
    return `${error.code} ${error.message}`;
  };

  itNeeds('img2simg')('of img2simg gives the image; so does one of ours', async () => {
    const theirs = join(folder, 'theirs.simg');
    await runProgram('img2simg', [image, theirs]);
    const plain = await readFile(image);
    expect((await read(await readFile(theirs))).equals(plain)).toBe(true);
    const [ours] = await writeParts('ours', planAndroidSparse(MAPPED, SIZE));
    expect((await read(await readFile(ours!))).equals(plain)).toBe(true);
  });

  it('that is cut short, changed or contradicts itself is refused', async () => {
    const [file] = await writeParts('good', planAndroidSparse(MAPPED, SIZE));
    const good = await readFile(file!);
    const change = (at: number, value: number, bytes = 4) => {
      const changed = Buffer.from(good);
      changed.writeUIntLE(value, at, bytes);
      return changed;
    };
    expect(await refusal(good.subarray(0, good.length - 100))).toMatch(/BASE_IMAGE_TRUNCATED/);
    expect(await refusal(Buffer.concat([good, Buffer.alloc(1)]))).toMatch(/something follows/);
    expect(await refusal(change(4, 2, 2))).toMatch(/version 2/);
    expect(await refusal(change(8, 20, 2))).toMatch(/too short/);
    expect(await refusal(change(12, 4098))).toMatch(/blocks of 4098 bytes/);
    expect(await refusal(change(16, 100))).toMatch(/ends at block \d+ of 100/);
    expect(await refusal(change(16, 20_000))).toMatch(/have 10240 of 20000 blocks/);
    expect(await refusal(change(28, 0xbeef, 2))).toMatch(/at byte 28 is of no known type/);
    expect(await refusal(change(36, 0xffffffff))).toMatch(/wrong size/);
    expect(await refusal(change(24, 1))).toMatch(/checksum in its header/);
  });

  it('verifies its checksums', async () => {
    const block = randomBytes(4096);
    const header = Buffer.alloc(28);
    header.writeUInt32LE(0xed26ff3a, 0);
    [1, 0, 28, 12].forEach((value, i) => header.writeUInt16LE(value, 4 + 2 * i));
    [4096, 1, 2, 0].forEach((value, i) => header.writeUInt32LE(value, 12 + 4 * i));
    const chunk = (type: number, blocks: number, data: Uint8Array) => {
      const head = Buffer.alloc(12);
      head.writeUInt16LE(type, 0);
      head.writeUInt32LE(blocks, 4);
      head.writeUInt32LE(12 + data.length, 8);
      return Buffer.concat([head, data]);
    };
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32(block));
    const bytes = Buffer.concat([header, chunk(0xcac1, 1, block), chunk(0xcac4, 0, sum)]);
    expect((await read(bytes)).equals(block)).toBe(true);
    bytes[28 + 12]! ^= 1;
    expect(await refusal(bytes)).toMatch(/BASE_IMAGE_DAMAGED.*checksum at byte/s);
  });
});
