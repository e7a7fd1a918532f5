import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { MiB, type ByteRange } from '@boxship/model';
import { createBmap, mapBlocks, readBmap, verifyWithBmap } from './bmap.ts';
import { digestImage } from './digest-image.ts';
import { hashParts, streamDigests } from './hash-file.ts';
import { itNeeds, overwrite } from './test-disks.ts';

let folder = '';
let image = '';
/** Not whole blocks, so that the last one is short. */
const SIZE = 5 * MiB + 1000;
const MAPPED: ByteRange[] = [
  { start: 3 * MiB, end: SIZE },
  { start: 0, end: 512 },
  { start: 600, end: 9000 },
  { start: MiB + 5, end: MiB + 6 },
  { start: 2 * MiB, end: 2 * MiB },
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-disk-'));
  image = join(folder, 'image');
  await writeFile(image, randomBytes(12288));
  await truncate(image, SIZE);
  await overwrite(image, MiB, randomBytes(4096));
  await overwrite(image, SIZE - 5000, randomBytes(5000));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('digestImage', () => {
  it('hashes the whole and its mapped blocks', async () => {
    const bytes = await readFile(image);
    let done = 0;
    const digests = await digestImage(image, MAPPED, { onBytes: (count) => (done += count) });
    expect(digests.sha256).toBe(`sha256:${sha256(bytes)}`);
    expect(digests.size).toBe(SIZE);
    expect(done).toBe(SIZE);
    expect(digests.ranges).toEqual(
      [
        [0, 12288],
        [MiB, MiB + 4096],
        [3 * MiB, SIZE],
      ].map(([start, end]) => ({ start, end, sha256: sha256(bytes.subarray(start, end)) })),
    );
  });

  it('hashes an image that is mapped as a whole only once', async () => {
    const digests = await digestImage(image, [{ start: 0, end: SIZE }]);
    expect(digests.ranges).toEqual([{ start: 0, end: SIZE, sha256: sha256(await readFile(image)) }]);
    expect(digests.sha256).toBe(`sha256:${digests.ranges[0]!.sha256}`);
  });

  it('hashes parts of several ranges, some of them holes and some between mapped ones', async () => {
    const bytes = await readFile(image);
    const parts = [
      [{ start: 5, end: 12_288 }, { start: 12_300, end: MiB + 17 }, { start: MiB + 4096, end: 2 * MiB }],
      [{ start: 2 * MiB, end: SIZE - 5 }],
      [],
    ]; // prettier-ignore
    const expected = parts.map((ranges) => `sha256:${sha256(Buffer.concat(ranges.map(({ start, end }) => bytes.subarray(start, end))))}`); // prettier-ignore
    expect((await digestImage(image, MAPPED, { parts })).parts).toEqual(expected);
    const zeros = [{ start: MiB + 8192, end: 2 * MiB }];
    expect((await digestImage(image, MAPPED, { parts, zeros })).parts).toEqual(expected);
    expect((await hashParts(image, parts)).parts).toEqual(expected);
    const odd = streamDigests(parts); // pieces that end anywhere
    for (let at = 0; at < SIZE; at += 99_991) odd.add(bytes.subarray(at, at + 99_991));
    expect(odd.digests()).toEqual(await hashParts(image, parts));
  });

  it('does not read what is known to be a hole, and hashes the same', async () => {
    const holes = join(folder, 'holes');
    await writeFile(holes, randomBytes(20_000));
    await truncate(holes, 40 * MiB);
    await overwrite(holes, 33 * MiB, randomBytes(5000));
    const mapped = [{ start: 0, end: 20_000 }, { start: MiB, end: 3 * MiB }, { start: 33 * MiB, end: 34 * MiB }]; // prettier-ignore
    const zeros = [{ start: 20_000, end: 20_100 }, { start: 24_576, end: 33 * MiB }, { start: 33 * MiB + 5000, end: 40 * MiB }]; // prettier-ignore
    const plain = await digestImage(holes, mapped);
    expect(plain.sha256).toBe(`sha256:${sha256(await readFile(holes))}`);
    expect(await digestImage(holes, mapped, { zeros })).toEqual(plain);
    // the proof that it was not read
    await overwrite(holes, 30 * MiB, randomBytes(10));
    expect(await digestImage(holes, mapped, { zeros })).toEqual(plain);
  });

  it('stops when it is told to, and fails when the file is not there', async () => {
    await expect(digestImage(image, MAPPED, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    await expect(digestImage(join(folder, 'nowhere'), [])).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

it('maps whole blocks, merged, and nothing beyond the image', () => {
  expect(mapBlocks([{ start: 4096, end: 4097 }, { start: 0, end: 4096 }], 10_000)).toEqual([{ start: 0, end: 8192 }]); // prettier-ignore
  expect(() => mapBlocks([{ start: 0, end: 10_001 }], 10_000)).toThrow('range ends at 10001, the image at 10000');
});

describe('createBmap', () => {
  itNeeds('bmaptool')('writes what bmaptool verifies and copies, and bmaptool sees what is damaged', async () => {
    const { ranges } = await digestImage(image, MAPPED);
    const bmap = join(folder, 'image.bmap');
    await writeFile(bmap, createBmap({ imageSize: SIZE, ranges }));
    const target = join(folder, 'copy');
    await runProgram('bmaptool', ['copy', '--bmap', bmap, image, target]);
    expect((await readFile(target)).equals(await readFile(image))).toBe(true);
    const { blocks } = await stat(target);
    expect(blocks * 512).toBeLessThan(3 * MiB);

    const damaged = join(folder, 'damaged');
    const bytes = await readFile(image);
    bytes[SIZE - 1]! ^= 1;
    await writeFile(damaged, bytes);
    const { code, stderr } = await runProgram('bmaptool', ['copy', '--bmap', bmap, damaged, target], {
      accept: [0, 1],
    });
    expect(code).toBe(1);
    expect(stderr).toContain('checksum mismatch for blocks range 768-1280');

    const forged = join(folder, 'forged.bmap');
    await writeFile(forged, (await readFile(bmap, 'utf8')).replace('768-1280', '768-1279'));
    const refused = await runProgram('bmaptool', ['copy', '--bmap', forged, image, target], { accept: [0, 1] });
    expect(refused.stderr).toContain('checksum mismatch');
  });
});

describe('readBmap', () => {
  itNeeds('bmaptool')('reads what bmaptool writes, and the image verifies', async () => {
    const sparse = join(folder, 'sparse');
    const handle = await open(sparse, 'wx');
    await handle.write(randomBytes(8192), 0, 8192, 64 * 1024);
    await handle.write(randomBytes(100), 0, 100, MiB);
    await handle.truncate(2 * MiB);
    await handle.close();
    const path = `${sparse}.bmap`;
    await runProgram('bmaptool', ['create', '-o', path, sparse]);
    const bmap = readBmap(await readFile(path, 'utf8'), path);
    expect(bmap).toMatchObject({ version: '2.0', imageSize: 2 * MiB, blockSize: 4096, checksumType: 'sha256' });
    expect(bmap.ranges.map(({ start, end }) => [start, end])).toEqual([
      [65536, 65536 + 8192],
      [MiB, MiB + 4096],
    ]);
    await verifyWithBmap(sparse, bmap);
    await overwrite(sparse, MiB, Buffer.from([0, 0, 0]));
    await expect(verifyWithBmap(sparse, bmap)).rejects.toThrow(`bytes ${MiB}..${MiB + 4096} of ${sparse}`);
    await truncate(sparse, MiB);
    await expect(verifyWithBmap(sparse, bmap)).rejects.toThrow(`is ${MiB} bytes, its block map says ${2 * MiB}`);
  });

  // As bmap-tools 2.1 and wic of old Yocto releases wrote them (bmap-tools, BmapCreate.py of those days).
  const old = (version: string, extra: string, attribute: string) => `<?xml version="1.0" ?>
<!-- This file contains the block map for an image file. -->
<bmap version="${version}">
    <ImageSize> 10000 </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlocksCount> 3 </BlocksCount>
    <MappedBlocksCount> 2 </MappedBlocksCount>
    ${extra}
    <BlockMap>
        <Range${attribute}> 0 </Range>
        <Range> 2 - 2 </Range>
    </BlockMap>
</bmap>
`;
  it('reads 1.2, which has no checksum of itself, and 1.3, which has SHA-1', async () => {
    const sum = createHash('sha1').update(Buffer.alloc(4096)).digest('hex');
    expect(readBmap(old('1.2', '', ''))).toEqual({
      version: '1.2',
      imageSize: 10000,
      blockSize: 4096,
      ranges: [
        { start: 0, end: 4096 },
        { start: 8192, end: 10000 },
      ],
    });
    const zeros = '0'.repeat(40);
    const text = old('1.3', `<BmapFileSHA1> ${zeros} </BmapFileSHA1>`, ` sha1="${sum}"`);
    const own = createHash('sha1').update(text).digest('hex');
    const bmap = readBmap(text.replace(zeros, own));
    expect(bmap).toMatchObject({ version: '1.3', checksumType: 'sha1' });
    expect(bmap.ranges[0]).toEqual({ start: 0, end: 4096, checksum: sum });
    const path = join(folder, 'old');
    await writeFile(path, Buffer.alloc(10000));
    await verifyWithBmap(path, bmap);
    expect(() => readBmap(text.replace(zeros, own).replace('2 - 2', '1 - 2'), 'a.bmap')).toThrow(
      /a\.bmap: its own checksum is \w+, its text gives \w+/,
    );
  });

  it('refuses what is no block map, or one of another version, or one that contradicts itself', () => {
    expect(() => readBmap('<html/>', 'a.bmap')).toThrow('a.bmap: no <bmap version="…"> in it');
    expect(() => readBmap(old('3.0', '', ''), 'a.bmap')).toThrow('a.bmap: version 3.0 is not one of 1.2 to 2.x');
    expect(() => readBmap(old('1.2', '', '').replace('> 3 <', '> 4 <'))).toThrow('4 blocks of 4096 bytes');
    expect(() => readBmap(old('1.2', '', '').replace('2 - 2', '2 - 3'))).toThrow('range 2-3 is not within 3 blocks');
    expect(() => readBmap(old('1.2', '', '').replace('2 - 2', '0 - 2'))).toThrow('not in order');
    expect(() => readBmap(old('1.2', '', '').replace('<ImageSize> 10000 </ImageSize>', ''))).toThrow(
      '<ImageSize> is missing',
    );
  });
});
