import { copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { digestHex, MiB, UserError } from '@boxship/model';
import { decompressFile, decompressTo, openDiskImage, probeCompression, type Compression } from './disk-image.ts';
import { hashFile } from './hash-file.ts';
import { itNeeds, overwrite } from './test-disks.ts';

let folder = '';
let cache: Cache;
/** Noise, text, and zeros of many lengths: 6 MiB, most of it holes. */
let plain: Buffer;
let plainPath = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-disk-'));
  cache = openCache(join(folder, 'cache'));
  plain = Buffer.alloc(6 * MiB + 1000);
  randomBytes(MiB / 2).copy(plain, MiB + 17);
  Buffer.from('the quick brown fox '.repeat(20_000)).copy(plain, 3 * MiB);
  plain[plain.length - 1] = 1;
  plainPath = join(folder, 'plain.img');
  await writeFile(plainPath, plain);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Packed = Exclude<Compression, 'none' | 'simg'>;
/** The program that makes each kind, and what a bad file of it may be said to be. */
const KINDS: Record<Packed, { program: string; args: string[] }> = {
  gz: { program: 'gzip', args: ['-c', '-n'] },
  xz: { program: 'xz', args: ['-c', '-1'] },
  zst: { program: 'zstd', args: ['-c', '-q'] },
  bz2: { program: 'bzip2', args: ['-c'] },
};

let count = 0;
const packed = new Map<string, Promise<Buffer>>();
/** A new file of that kind; a program is started once for each way to make one. */
async function pack(kind: Packed, input = plainPath, extra: string[] = []): Promise<string> {
  const path = join(folder, `${++count}.${kind}`);
  const { program, args } = KINDS[kind];
  const line = [...args, ...extra, input];
  const key = [program, ...line].join(' ');
  const bytes = packed.get(key) ?? runProgram(program, line).then(({ stdout }) => stdout);
  packed.set(key, bytes);
  await writeFile(path, await bytes);
  return path;
}

async function unpacked(path: string, kind: Packed): Promise<Buffer> {
  const target = join(folder, `${++count}.out`);
  expect(await decompressFile(path, kind, target)).toBe((await stat(target)).size);
  return await readFile(target);
}

async function fault(path: string): Promise<UserError> {
  return await openDiskImage(path, { cache }).then(
    () => expect.fail('it was opened'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );
}

for (const [kind, { program }] of Object.entries(KINDS) as [Packed, { program: string }][]) {
  describe(`.${kind}`, () => {
    itNeeds(program)('is read through the cache, sparse, whatever its name', async () => {
      const source = await pack(kind);
      const path = join(folder, `${++count}.img`);
      await copyFile(source, path);
      expect(await probeCompression(path)).toBe(kind);
      const image = await openDiskImage(path, { cache });
      try {
        expect(image.size).toBe(plain.length);
        expect(plain.equals(await readFile(image.path))).toBe(true);
        expect(Buffer.from(await image.read(MiB, 4096)).equals(plain.subarray(MiB, MiB + 4096))).toBe(true);
        const { blocks } = await stat(image.path);
        expect(blocks * 512).toBeLessThan(2 * MiB);
        const bytes = await readFile(path);
        expect(await image.digest()).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
        expect(image.source).toEqual({ path, size: bytes.length, compression: kind });
      } finally {
        await image.close();
      }
    });

    itNeeds(program)('is not decompressed twice', async () => {
      const path = await pack(kind);
      const first = await openDiskImage(path, { cache });
      await first.close();
      const before = await stat(first.path);
      const second = await openDiskImage(path, { cache, digestOf: () => first.digest() });
      await second.close();
      expect(second.path).toBe(first.path);
      expect((await stat(second.path)).ino).toBe(before.ino);
    });

    itNeeds(program)('may be of joined members', async () => {
      const path = await pack(kind);
      const bytes = await readFile(path);
      await writeFile(path, Buffer.concat([bytes, bytes]));
      expect(Buffer.concat([plain, plain]).equals(await unpacked(path, kind))).toBe(true);
    });

    itNeeds(program)('of nothing is nothing', async () => {
      const empty = join(folder, 'empty');
      await writeFile(empty, '');
      expect((await unpacked(await pack(kind, empty), kind)).length).toBe(0);
    });

    for (const [where, keep] of [
      ['in the middle', 0.5],
      ['near its end', 0.999],
      ['by one byte', 1],
    ] as const) {
      itNeeds(program)(`that is cut short ${where} is refused`, async () => {
        const path = await pack(kind);
        const { size } = await stat(path);
        const length = keep === 1 ? size - 1 : Math.floor(size * keep);
        await truncate(path, length);
        const error = await fault(path);
        expect(error.code).toBe('BASE_IMAGE_TRUNCATED');
        expect(error.message).toContain(`(.${kind}, ${length} bytes) is cut short: it ends`);
      });
    }

    itNeeds(program)('with a flipped bit is refused, wherever it is', async () => {
      const sound = await readFile(await pack(kind));
      const position = (part: number) => Math.floor(sound.length * part);
      for (const at of [position(0.3), position(0.6), position(0.9)]) {
        const path = join(folder, `${++count}.${kind}`);
        await writeFile(path, sound);
        await overwrite(path, at, Buffer.from([sound[at]! ^ 0x10]));
        const { code } = await fault(path);
        expect(['BASE_IMAGE_DAMAGED', 'BASE_IMAGE_TRUNCATED']).toContain(code);
        const { digest } = await hashFile(path);
        expect(await cache.has('base-image', digestHex(digest))).toBe(false);
      }
    });
  });
}

describe('variants of the formats', () => {
  for (const [kind, { program }] of Object.entries(KINDS) as [Packed, { program: string }][]) {
    itNeeds(program)(`a full disk while a .${kind} is read is told, and the next file is read`, async () => {
      const path = await pack(kind);
      const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      let taken = 0;
      const sink = async (bytes: Uint8Array) => {
        taken += bytes.length;
        if (taken > MiB) throw full;
      };
      await expect(decompressTo(path, kind, sink)).rejects.toBe(full);
      expect(plain.equals(await unpacked(path, kind))).toBe(true);
    });
  }

  itNeeds('xz')('xz in many blocks, with CRC32, without checksum, with padding', async () => {
    for (const extra of [['-T2', '--block-size=512KiB'], ['--check=crc32'], ['--check=none']]) {
      expect(plain.equals(await unpacked(await pack('xz', plainPath, extra), 'xz'))).toBe(true);
    }
    const path = await pack('xz');
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(8)]));
    expect(plain.equals(await unpacked(path, 'xz'))).toBe(true);
  });

  itNeeds('xz')('xz with a checksum that we cannot check is refused, and it is said what can be done', async () => {
    const error = await fault(await pack('xz', plainPath, ['--check=sha256']));
    expect(error.code).toBe('BASE_IMAGE_DAMAGED');
    expect(error.message).toContain('compress it with "xz --check=crc64"');
  });

  itNeeds('zstd')('zstd of high and low levels, without checksum, from a pipe, with skippable frames', async () => {
    for (const extra of [['-19'], ['--fast=5'], ['--no-check'], ['--no-content-size'], ['-T2', '-B512KiB']]) {
      expect(plain.equals(await unpacked(await pack('zst', plainPath, extra), 'zst'))).toBe(true);
    }
    const path = await pack('zst');
    const skippable = Buffer.concat([Buffer.from('5a2a4d1803000000', 'hex'), Buffer.from('abc')]);
    await writeFile(path, Buffer.concat([skippable, await readFile(path), skippable]));
    expect(plain.equals(await unpacked(path, 'zst'))).toBe(true);
  });

  itNeeds('zstd')('zstd is not kept in memory while it is read', async () => {
    const file = join(folder, 'noise');
    await writeFile(file, randomBytes(48 * MiB));
    const path = await pack('zst', file);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const marks = [4 * MiB, 40 * MiB];
    const held: number[] = [];
    let read = 0;
    await decompressTo(path, 'zst', (bytes) => {
      read += bytes.length;
      if (held.length < marks.length && read > marks[held.length]!) {
        collect();
        collect(); // what the first found is freed in a thread beside it, which the second waits for
        held.push(process.memoryUsage().arrayBuffers);
      }
      return Promise.resolve();
    });
    expect(held[1]! - held[0]!).toBeLessThan(16 * MiB);
  });

  itNeeds('zstd')('zstd with a wrong content checksum is refused', async () => {
    const path = await pack('zst', plainPath, ['--check']);
    const { size } = await stat(path);
    const last = (await readFile(path))[size - 1]!;
    await overwrite(path, size - 1, Buffer.from([last ^ 1]));
    const error = await fault(path);
    expect(error.code).toBe('BASE_IMAGE_DAMAGED');
    expect(error.message).toMatch(/checksum/i);
  });

  itNeeds('zstd')('zstd with a window larger than 128 MiB is refused', async () => {
    const path = await pack('zst', plainPath, ['--no-content-size', '--long=28']);
    // The window descriptor follows magic and frame header descriptor: exponent 10 + 18, mantissa 0.
    await overwrite(path, 5, Buffer.from([18 << 3]));
    expect((await fault(path)).message).toContain('it needs a window of 268435456 bytes');
  });

  itNeeds('bzip2')('bzip2 of zeros, where a block of 900 kB holds 46 MB, does not fill the memory', async () => {
    const zeros = join(folder, 'zeros');
    await writeFile(zeros, '');
    await truncate(zeros, 48 * MiB);
    const path = await pack('bz2', zeros);
    const target = join(folder, 'zeros.out');
    const before = process.memoryUsage().rss;
    expect(await decompressFile(path, 'bz2', target)).toBe(48 * MiB);
    expect(process.memoryUsage().rss - before).toBeLessThan(160 * MiB);
    expect((await stat(target)).blocks).toBe(0);
  });
});

describe('a plain image', () => {
  it('is opened where it lies, and hashed only when asked', async () => {
    let asked = 0;
    const digestOf = async (path: string) => {
      asked += 1;
      return (await hashFile(path)).digest;
    };
    const image = await openDiskImage(plainPath, { cache, digestOf });
    expect([image.path, image.size, asked]).toEqual([plainPath, plain.length, 0]);
    const digest = `sha256:${createHash('sha256').update(plain).digest('hex')}`;
    expect([await image.digest(), await image.digest(), asked]).toEqual([digest, digest, 1]);
    await image.close();
  });

  it('that is missing, empty or a folder is refused', async () => {
    expect((await fault(join(folder, 'nowhere.img'))).code).toBe('BASE_IMAGE_MISSING');
    await writeFile(join(folder, 'empty.img'), '');
    expect((await fault(join(folder, 'empty.img'))).code).toBe('BASE_IMAGE_EMPTY');
    expect((await fault(folder)).message).toContain('is not a file');
  });
});

it('tells how many bytes are done', async () => {
  let done = 0;
  await hashFile(plainPath, (bytes) => (done += bytes));
  expect(done).toBe(plain.length);
});
