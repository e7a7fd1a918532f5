import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache, type Cache } from '@boxship/host';
import { MiB, UserError } from '@boxship/model';
import { baseImageFormat, baseImageFormats, probeBaseImage } from './index.ts';
import { raw } from './raw.ts';

let folder = '';
let cache: Cache;
let disk = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-formats-'));
  cache = openCache(join(folder, 'cache'));
  disk = join(folder, 'vendor.wic');
  await writeFile(disk, mbr());
  await truncate(disk, 8 * MiB);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Sector 0 with one Linux partition of 4 MiB at 1 MiB: what `sfdisk` writes is tested in @boxship/disk. */
function mbr(): Buffer {
  const sector = Buffer.alloc(512);
  sector[446 + 4] = 0x83;
  sector.writeUInt32LE(2048, 446 + 8);
  sector.writeUInt32LE(8192, 446 + 12);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

async function fault(work: Promise<unknown>): Promise<UserError> {
  return await work.then(
    () => expect.fail('no error'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );
}

describe('the registry', () => {
  it('has every module of this folder, by its name, and each keeps the contract', async () => {
    const files = await readdir(fileURLToPath(new URL('.', import.meta.url)));
    const modules = files.filter((file) => /^[a-z-]+\.ts$/.test(file) && file !== 'index.ts');
    expect(Object.keys(baseImageFormats).sort()).toEqual(modules.map((file) => file.replace('.ts', '')).sort());
    for (const [name, format] of Object.entries(baseImageFormats)) {
      expect(format.name).toBe(name);
      expect(baseImageFormat(name)).toBe(format);
      const zeros = join(folder, 'zeros');
      await writeFile(zeros, Buffer.alloc(MiB));
      expect(await format.probe(zeros)).toBe(false);
      expect(await format.probe(folder)).toBe(false);
    }
  });

  it('names its members when another is asked for', () => {
    for (const name of ['tezi2', 'constructor']) expect(() => baseImageFormat(name)).toThrow(/Known: .*raw/);
  });

  it('finds the format of a file, or says which there are', async () => {
    expect(await probeBaseImage(disk)).toBe(raw);
    const text = join(folder, 'readme.txt');
    await writeFile(text, 'no image at all\n'.repeat(100));
    expect((await fault(probeBaseImage(text))).code).toBe('BASE_IMAGE_UNKNOWN');
  });
});

describe('raw', () => {
  it('opens a disk lazily: one device, its table, its bytes', async () => {
    const image = await raw.read(disk, { cache });
    try {
      expect(image.devices.map(({ name, path }) => [name, path])).toEqual([['disk', disk]]);
      const [device] = image.devices;
      expect(device!.content.size).toBe(8 * MiB);
      expect(device!.table.partitions).toMatchObject([{ number: 1, start: MiB, size: 4 * MiB, type: '83' }]);
      expect(Buffer.from(await device!.content.read(0, 512)).equals(mbr())).toBe(true);
      expect(image.sources.map(({ path, size }) => [path, size])).toEqual([[disk, 8 * MiB]]);
      expect(device!.bmap).toBeUndefined();
      await image.verify();
    } finally {
      await image.close();
    }
  });

  it('opens a compressed disk, but no tar archive', async () => {
    await writeFile(`${disk}.gz`, gzipSync(await readFile(disk)));
    const image = await raw.read(`${disk}.gz`, { cache });
    expect(image.devices[0]!.table.partitions).toHaveLength(1);
    expect(image.devices[0]!.path).not.toBe(`${disk}.gz`);
    await image.close();
    expect(await raw.probe(`${disk}.gz`)).toBe(true);
    await copyFile(`${disk}.gz`, join(folder, 'rootfs.tar.gz'));
    expect(await raw.probe(join(folder, 'rootfs.tar.gz'))).toBe(false);
  });

  it('says what is wrong with a damaged disk, rather than that it is none', async () => {
    const short = join(folder, 'short.img');
    await writeFile(short, mbr());
    await truncate(short, 2 * MiB);
    expect(await raw.probe(short)).toBe(true);
    expect((await fault(raw.read(short, { cache }))).code).toBe('IMAGE_TRUNCATED');
  });

  it('takes the block map beside the file, and verifies with it', async () => {
    const bmap = (checksum: string) => `<bmap version="2.0">
<ImageSize> ${8 * MiB} </ImageSize><BlockSize> 4096 </BlockSize><BlocksCount> 2048 </BlocksCount>
<ChecksumType> sha256 </ChecksumType>
<BlockMap><Range chksum="${checksum}"> 0 </Range></BlockMap></bmap>`;
    const sound = createHash('sha256')
      .update((await readFile(disk)).subarray(0, 4096))
      .digest('hex');
    await writeFile(`${disk}.bmap`, bmap(sound));
    for (const path of [disk, `${disk}.gz`]) {
      const image = await raw.read(path, { cache });
      expect(image.devices[0]!.bmap!.ranges).toEqual([{ start: 0, end: 4096, checksum: sound }]);
      await image.verify();
      await image.close();
    }
    await writeFile(`${disk}.bmap`, bmap('0'.repeat(64)));
    const image = await raw.read(disk, { cache });
    expect((await fault(image.verify())).code).toBe('BMAP_MISMATCH');
    await image.close();
    await rm(`${disk}.bmap`);
  });
});
