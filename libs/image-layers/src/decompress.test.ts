import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { declaredCompression, layerCompression, sniffCompression, type LayerCompression } from './compression.ts';
import { decompress } from './decompress.ts';
import { syntheticLayer } from './synthetic-layer.ts';
import { collect, itNeeds } from './test-layers.ts';

let folder = '';
let tar: Buffer = Buffer.alloc(0);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-decompress-'));
  tar = await collect(syntheticLayer({ files: 200, fileSize: 10_000 }));
  await writeFile(join(folder, 'tar'), tar);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withZstd = await itNeeds('zstd');
const withGzip = await itNeeds('gzip');

/** In pieces whose memory is used again, as our own reader does. */
async function* pieces(bytes: Buffer, size: number) {
  const piece = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield piece.subarray(0, bytes.copy(piece, 0, at, at + size));
  }
}

const unpack = (bytes: Buffer, compression: LayerCompression, limit?: number, size = 65_536) =>
  collect(decompress(pieces(bytes, size), compression, { name: 'layer x', ...(limit === undefined ? {} : { limit }) }));

const pack = async (program: string, ...options: string[]) =>
  (await runProgram(program, [...options, '-c', join(folder, 'tar')])).stdout;

describe('gzip', () => {
  for (const level of ['-1', '-9']) {
    withGzip(`of the program gzip ${level}`, async () => {
      expect((await unpack(await pack('gzip', level), 'gzip')).equals(tar)).toBe(true);
    });
  }
  it('of many members, in pieces of any size', async () => {
    const members: Buffer[] = [];
    for (let at = 0; at < tar.length; at += 100_000) members.push(gzipSync(tar.subarray(at, at + 100_000)));
    const whole = Buffer.concat(members);
    for (const size of [101, 4096, 1 << 20])
      expect((await unpack(whole, 'gzip', undefined, size)).equals(tar)).toBe(true);
  });
  it('cut off anywhere', async () => {
    const packed = gzipSync(tar);
    for (const length of [0, 5, 20, packed.length >> 1, packed.length - 1]) {
      await expect(unpack(packed.subarray(0, length), 'gzip')).rejects.toMatchObject({ code: 'BAD_COMPRESSION' });
    }
  });
  it('followed by rubbish', async () => {
    const packed = gzipSync(tar);
    for (const rubbish of ['rubbish', '\0\0\0rubbish']) {
      for (const size of [1000, 1 << 24]) {
        const bytes = Buffer.concat([packed, Buffer.from(rubbish)]);
        await expect(unpack(bytes, 'gzip', undefined, size)).rejects.toMatchObject({ code: 'BAD_COMPRESSION' });
      }
    }
  });
  it('with a wrong checksum', async () => {
    const packed = gzipSync(tar);
    packed[packed.length - 8]! ^= 1;
    await expect(unpack(packed, 'gzip')).rejects.toMatchObject({ code: 'BAD_COMPRESSION' });
  });
  it('bomb: stops as soon as there is more than allowed', async () => {
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    let read = 0;
    const counted = async function* () {
      for await (const piece of pieces(bomb, 4096)) {
        read += piece.length;
        yield piece;
      }
    };
    await expect(collect(decompress(counted(), 'gzip', { name: 'bomb', limit: 1 << 20 }))).rejects.toMatchObject({
      code: 'LAYER_TOO_LARGE',
    });
    expect(read).toBeLessThan(bomb.length / 4);
  });
  it('exactly as long as allowed', async () => {
    expect(await unpack(gzipSync(tar), 'gzip', tar.length)).toHaveLength(tar.length);
  });
});

describe('zstd', () => {
  for (const options of [['-1'], ['-3'], ['-12', '--no-check'], ['--long=27', '-3']]) {
    withZstd(`of the program zstd ${options.join(' ')}`, async () => {
      expect((await unpack(await pack('zstd', ...options), 'zstd')).equals(tar)).toBe(true);
    });
  }
  withZstd('of several frames, with skippable ones between and behind (zstd:chunked)', async () => {
    await writeFile(join(folder, 'half'), tar.subarray(0, 700_000));
    await writeFile(join(folder, 'rest'), tar.subarray(700_000));
    const frame = async (name: string) => (await runProgram('zstd', ['-c', join(folder, name)])).stdout;
    const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 100, 0, 0, 0]), Buffer.alloc(100, 's')]);
    const whole = Buffer.concat([skippable, await frame('half'), skippable, await frame('rest'), skippable, skippable]);
    expect(sniffCompression(whole)).toBe('zstd');
    for (const size of [77, 4096, 1 << 24])
      expect((await unpack(whole, 'zstd', undefined, size)).equals(tar)).toBe(true);
  });
  withZstd('cut off, followed by rubbish', async () => {
    const packed = await pack('zstd');
    for (const length of [0, 3, packed.length >> 1, packed.length - 1]) {
      await expect(unpack(packed.subarray(0, length), 'zstd')).rejects.toMatchObject({ code: 'BAD_COMPRESSION' });
    }
    await expect(unpack(Buffer.concat([packed, Buffer.from('rubbish')]), 'zstd')).rejects.toMatchObject({
      code: 'BAD_COMPRESSION',
    });
  });
  withZstd('bomb', async () => {
    await runProgram('truncate', ['-s', '64M', join(folder, 'zeros')]);
    const { stdout } = await runProgram('zstd', ['-c', join(folder, 'zeros')]);
    await expect(unpack(stdout, 'zstd', 1 << 20)).rejects.toMatchObject({ code: 'LAYER_TOO_LARGE' });
  });
  it('a window of 2 GiB is refused before it is allocated', async () => {
    const head = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8]), Buffer.alloc(100)]);
    await expect(unpack(head, 'zstd')).rejects.toMatchObject({ code: 'BAD_COMPRESSION' });
  });
});

describe('media types', () => {
  it('of OCI and docker', () => {
    expect(declaredCompression('application/vnd.oci.image.layer.v1.tar+gzip')).toBe('gzip');
    expect(declaredCompression('application/vnd.oci.image.layer.v1.tar+zstd')).toBe('zstd');
    expect(declaredCompression('application/vnd.oci.image.layer.v1.tar')).toBe('none');
    expect(declaredCompression('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip')).toBe('gzip');
    expect(declaredCompression('application/vnd.docker.image.rootfs.diff.tar.gzip')).toBe('gzip');
    expect(declaredCompression('application/vnd.docker.image.rootfs.diff.tar')).toBe('none');
    expect(declaredCompression('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')).toBe('gzip');
    expect(declaredCompression('application/vnd.oci.image.layer.v1.tar+gzip+encrypted')).toBeUndefined();
    expect(declaredCompression('application/vnd.oci.empty.v1+json')).toBeUndefined();
  });
  it('that contradict the bytes matter only between gzip and zstd', () => {
    const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0]);
    const gzip = gzipSync('');
    expect(() => layerCompression('application/vnd.oci.image.layer.v1.tar+gzip', zstd, 'layer x')).toThrow(
      'layer x is declared as gzip ("application/vnd.oci.image.layer.v1.tar+gzip") but its bytes are zstd',
    );
    expect(layerCompression('application/vnd.oci.image.layer.v1.tar', gzip, 'x')).toBe('gzip');
    expect(layerCompression('application/vnd.oci.image.layer.v1.tar+gzip', Buffer.alloc(512), 'x')).toBe('none');
  });
});
