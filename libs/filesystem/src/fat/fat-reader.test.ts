import { mkdtemp, rm, writeFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileReader, runProgram } from '@boxship/host';
import { openFat } from './fat-reader.ts';

const has = await runProgram('mkfs.vfat', ['--help'], { accept: [0, 1] }).then(() => true, () => false); // prettier-ignore
if (!has && process.env['CI'] === 'true') throw new Error('not installed: dosfstools');
const LONG = Buffer.alloc(70_000, 'a line of a long file\n');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-fat-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function makeFat(bits: number, size: number): Promise<string> {
  const file = join(folder, `fat${bits}`);
  await writeFile(file, '');
  await truncate(file, size);
  await runProgram('mkfs.vfat', ['-F', String(bits), '-s', '1', '-n', 'BOOT', file]);
  await writeFile(join(folder, 'long'), LONG);
  await writeFile(join(folder, 'short'), 'console=ttyS0\n');
  await writeFile(join(folder, 'empty'), '');
  await runProgram('mmd', ['-i', file, '::loader', '::loader/entries', '::EFI']);
  await runProgram('mcopy', ['-i', file, join(folder, 'short'), '::cmdline.txt']);
  await runProgram('mcopy', ['-i', file, join(folder, 'long'), '::loader/entries/a name that is longer than eight and three-größe.conf']);
  await runProgram('mcopy', ['-i', file, join(folder, 'empty'), '::EMPTY']);
  // many entries: the folder needs more than one cluster
  for (let i = 0; i < 40; i++) await runProgram('mcopy', ['-i', file, join(folder, 'short'), `::EFI/file number ${i}.efi`]);
  await runProgram('mdel', ['-i', file, '::EFI/file number 7.efi']);
  return file;
} // prettier-ignore

describe.skipIf(!has)('a FAT that mkfs.vfat and mtools made', () => {
  it.each([
    [12, 2 * 2 ** 20],
    [16, 16 * 2 ** 20],
    [32, 40 * 2 ** 20],
  ])('of %d bits', async (bits, size) => {
    await using reader = await openFileReader(await makeFat(bits, size));
    const fat = (await openFat(reader))!;
    const text = async (path: string) => Buffer.from((await fat.readFile(path, 2 ** 20)) ?? 'none').toString();
    expect(await text('cmdline.txt')).toBe('console=ttyS0\n');
    expect(await text('CMDLINE.TXT')).toBe('console=ttyS0\n');
    expect(await text('empty')).toBe('');
    expect((await fat.readDirectory('')).map(({ name }) => name.toLowerCase())).toEqual(['loader', 'efi', 'cmdline.txt', 'empty']); // prettier-ignore
    const [long] = await fat.readDirectory('loader/entries');
    expect(long).toMatchObject({ name: 'a name that is longer than eight and three-größe.conf', size: LONG.length });
    expect(await text(`loader/entries/${long!.name}`)).toBe(LONG.toString());
    const names = (await fat.readDirectory('EFI')).map(({ name }) => name);
    expect(names).toHaveLength(39);
    expect(names).not.toContain('file number 7.efi');
    expect(await fat.readFile('nothing/here', 10)).toBeUndefined();
    expect(await fat.readFile('EFI', 10)).toBeUndefined();
    await expect(fat.readFile('cmdline.txt', 3)).rejects.toThrow('14 bytes, 3 are read');
  });

  it('tells a chain that runs in a circle or leads nowhere', async () => {
    const file = await makeFat(16, 16 * 2 ** 20);
    await using source = await openFileReader(file);
    const bytes = Buffer.from(await source.read(0, source.size));
    const fatStart = bytes.readUInt16LE(14) * 512;
    const broken = Buffer.from(bytes);
    broken.fill(0xee, fatStart + 4, fatStart + bytes.readUInt16LE(22) * 512);
    const at = (image: Buffer) => ({ size: image.length, read: (p: number, n: number) => Promise.resolve(image.subarray(p, p + n)) }); // prettier-ignore
    const fat = (await openFat(at(broken)))!;
    await expect(fat.readDirectory('loader/entries').then(() => fat.readFile('loader/entries/x', 10))).rejects.toThrow('leads to cluster 61166'); // prettier-ignore
    const circle = Buffer.from(bytes);
    for (let entry = 2; entry < 200; entry++) circle.writeUInt16LE(entry, fatStart + entry * 2);
    await openFat(at(circle)).then((one) => one!.readDirectory('EFI')); // ends
  });

  it('is not seen in anything else', async () => {
    const at = (image: Buffer) => ({ size: image.length, read: (p: number, n: number) => Promise.resolve(image.subarray(p, p + n)) }); // prettier-ignore
    expect(await openFat(at(Buffer.alloc(4096)))).toBeUndefined();
    expect(await openFat(at(Buffer.alloc(100)))).toBeUndefined();
    const mbr = Buffer.alloc(4096);
    mbr.writeUInt16LE(0xaa55, 510);
    expect(await openFat(at(mbr))).toBeUndefined();
  });
});
