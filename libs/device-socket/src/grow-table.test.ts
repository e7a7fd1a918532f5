import { chmod, copyFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath, runProgram } from '@boxship/host';
import { hasPrograms } from './installed-programs.ts';

/** The script as it ships, on image files; nothing here needs a disk or a kernel. */
const GROW_TABLE = fileURLToPath(
  new URL('../../../layers/meta-boxship/recipes-core/boxship-socket/files/usr/lib/boxship/grow-table', import.meta.url),
);
const MiB = 1024 * 1024;
const SHELLS: readonly (readonly string[])[] = [['dash'], ['busybox', 'sh']];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-grow-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Disk {
  readonly file: string;
  readonly sector: 512 | 4096;
  readonly number: number;
  /** 512-byte sectors, as sysfs has it. */
  readonly start: number;
}

const units = (mib: number, sector: number) => (mib * MiB) / sector;

/** A GPT disk of 32 MiB by fdisk: rootfs, store, data (4 MiB, last by place, its number not the highest when `odd`). */
async function gptDisk(sector: 512 | 4096, odd = false): Promise<Disk> {
  const file = await emptyDisk();
  const partition = (number: number, start: number, end: number) =>
    `n\n${number}\n${units(start, sector)}\n${units(end, sector) - 1}\n`;
  const data = odd ? 2 : 3;
  const script = `g\n${partition(1, 1, 9)}${partition(odd ? 3 : 2, 9, 17)}${partition(data, 17, 21)}w\n`;
  await runProgram('fdisk', ['-b', String(sector), file], { input: script });
  return { file, sector, number: data, start: 17 * 2048 };
}

/** An MBR disk by sfdisk; the data partition is primary 3, logical 5 or logical 7. */
async function mbrDisk(number: 3 | 5 | 7): Promise<Disk> {
  const file = await emptyDisk();
  const at = (mib: number, size: number, type: string) => `start=${mib * 2048}, size=${size * 2048}, type=${type}\n`;
  const tables = {
    3: `${at(1, 8, '83')}${at(9, 8, '83')}${at(17, 4, '83')}`,
    5: `${at(1, 8, '83')}${at(9, 4, '83')}${at(13, 3, '83')}start=${16 * 2048}, size=${5 * 2048}, type=5\n${at(17, 4, '83')}`,
    7: `${at(1, 4, '83')}${at(5, 2, '83')}${at(7, 1, '83')}start=${8 * 2048}, size=${13 * 2048}, type=f\n${at(9, 3, '83')}${at(13, 3, '83')}${at(17, 4, '83')}`,
  };
  await runProgram('sfdisk', ['-q', file], { input: `label: dos\nlabel-id: 0x12345678\n${tables[number]}` });
  return { file, sector: 512, number, start: 17 * 2048 };
} // prettier-ignore

async function emptyDisk(): Promise<string> {
  const file = join(await mkdtemp(join(folder, 'disk-')), 'disk');
  await writeFile(file, '');
  await truncate(file, 32 * MiB);
  const handle = await open(file, 'r+');
  // the vendor's gap holds a bootloader, the partitions hold data: none of it may change
  for (let mib = 0; mib < 21; mib += 1) await handle.write(Buffer.from(`vendor ${mib}`), 0, undefined, mib * MiB + 65536);
  await handle.close();
  return file;
} // prettier-ignore

async function grow(disk: Disk, shell: readonly string[], path = programPath()) {
  const { size } = await stat(disk.file);
  const [program, ...args] = shell;
  return await runProgram(
    program!,
    [...args, GROW_TABLE, disk.file, String(disk.number), String(disk.start), String(size / 512), String(disk.sector)],
    { accept: [0, 1, 137], env: { TMPDIR: folder, PATH: path } },
  ).catch((error: Error) => ({ code: -1, stdout: Buffer.alloc(0), stderr: String(error) }));
}

interface Row {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** The partition table as fdisk reads it, checked by its `v`. */
async function readTable(disk: Disk): Promise<Row[]> {
  const listing = (
    await runProgram('fdisk', ['-b', String(disk.sector), '-o', 'Device,Start,End', '-l', disk.file])
  ).stdout.toString();
  return [...listing.matchAll(/disk(\d+)\s+(\d+)\s+(\d+)$/gm)].map((match) => ({
    number: Number(match[1]),
    start: Number(match[2]),
    end: Number(match[3]),
  }));
}

async function expectWholeTable(disk: Disk, gpt: boolean): Promise<void> {
  const checked = await runProgram('fdisk', ['-b', String(disk.sector), disk.file], { input: 'v\nq\n', accept: [0, 1] });
  expect(checked.stdout.toString() + checked.stderr).toMatch(/No errors detected|unallocated/);
  expect(checked.stderr).not.toMatch(/corrupt|mismatch|invalid/i);
  if (disk.sector === 512) await runProgram('sfdisk', ['--verify', disk.file]);
  if (disk.sector === 512 && gpt) {
    expect((await runProgram('sgdisk', ['-v', disk.file])).stdout.toString()).toContain('No problems found');
  }
} // prettier-ignore

/** As Linux decides (block/partitions/efi.c, is_gpt_valid): the primary header and its entries fit their checksums. */
async function expectKernelAccepts(disk: Disk): Promise<void> {
  const bytes = await readFile(disk.file);
  const header = Buffer.from(bytes.subarray(disk.sector, 2 * disk.sector));
  expect(header.toString('latin1', 0, 8)).toBe('EFI PART');
  const size = header.readUInt32LE(12);
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  expect(crc(header.subarray(0, size))).toBe(sum);
  expect(Number(header.readBigUInt64LE(24))).toBe(1);
  const last = bytes.length / disk.sector - 1;
  expect(Number(header.readBigUInt64LE(48))).toBeLessThanOrEqual(last);
  const at = Number(header.readBigUInt64LE(72)) * disk.sector;
  const length = header.readUInt32LE(80) * header.readUInt32LE(84);
  expect(crc(bytes.subarray(at, at + length))).toBe(header.readUInt32LE(88));
}

/** Node 20.19 has no zlib.crc32 in every build; gzip's reference polynomial by hand then. */
function crc(bytes: Uint8Array): number {
  if (typeof crc32 === 'function') return crc32(bytes);
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ 0xffffffff) >>> 0;
}

/** Everything but the tables: the first MiB without sectors 0 to 33, and the partitions up to the data's end. */
async function vendorBytes(disk: Disk, holes: readonly number[] = []): Promise<string> {
  const bytes = await readFile(disk.file);
  bytes.fill(0, 0, 34 * disk.sector);
  for (const hole of holes) bytes.fill(0, hole, hole + 512);
  return bytes.subarray(0, 21 * MiB).toString('latin1');
}

/** A folder whose `dd` kills its caller right after the n-th write to the disk. */
async function killingPath(disk: Disk, after: number): Promise<string> {
  const bin = await mkdtemp(join(folder, 'bin-'));
  const real = (await runProgram('sh', ['-c', 'command -v dd'])).stdout.toString().trim();
  const script = `#!/bin/sh
"${real}" "$@" || exit
case "$*" in *"of=${disk.file}"*)
  echo x >> ${bin}/count
  [ "$(wc -l < ${bin}/count)" -lt ${after} ] || kill -9 $PPID ;;
esac
`;
  await writeFile(join(bin, 'dd'), script);
  await chmod(join(bin, 'dd'), 0o755);
  return `${bin}:${programPath()}`;
}

const present = hasPrograms('fdisk', 'sfdisk', 'sgdisk', 'busybox', 'dash');

describe.skipIf(!present).each(SHELLS)('grow-table under %s %s', (...shell) => {
  it.each([
    [512, false],
    [512, true],
    [4096, false],
  ] as const)('GPT, %d-byte sectors, numbers out of order: %s', async (sector, odd) => {
    const disk = await gptDisk(sector, odd);
    const before = await vendorBytes(disk);
    await truncate(disk.file, 64 * MiB + 4096);
    const result = await grow(disk, shell);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(Number(result.stdout.toString())).toBe((63 - 17) * 2048);
    await expectWholeTable(disk, true);
    const data = (await readTable(disk)).find((row) => row.number === disk.number);
    expect(data).toEqual({ number: disk.number, start: units(17, sector), end: units(63, sector) - 1 });
    expect(await vendorBytes(disk)).toBe(before);
    const whole = await readFile(disk.file);
    expect(Number((await grow(disk, shell)).stdout.toString())).toBe((63 - 17) * 2048);
    expect((await readFile(disk.file)).equals(whole)).toBe(true);
  });

  it.each([3, 5, 7] as const)('MBR, partition %d', async (number) => {
    const disk = await mbrDisk(number);
    const ebrs = number === 7 ? [8, 12, 16].map((mib) => mib * MiB) : [16 * MiB];
    const records = (await findRecords(disk)).map((sector) => sector * 512);
    expect(records.length).toBe(number === 3 ? 0 : number === 5 ? 1 : 3);
    const before = await vendorBytes(disk, [...ebrs, ...records]);
    await truncate(disk.file, 64 * MiB);
    const result = await grow(disk, shell);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(Number(result.stdout.toString())).toBe((64 - 17) * 2048);
    await expectWholeTable(disk, false);
    const rows = await readTable(disk);
    expect(rows.find((row) => row.number === number)).toEqual({
      number,
      start: 17 * 2048,
      end: 64 * 2048 - 1,
    });
    expect(await vendorBytes(disk, [...ebrs, ...records])).toBe(before);
    const whole = await readFile(disk.file);
    await grow(disk, shell);
    expect((await readFile(disk.file)).equals(whole)).toBe(true);
  });

  it('does nothing on a disk of the same size', async () => {
    for (const disk of [await gptDisk(512), await mbrDisk(7)]) {
      const first = await grow(disk, shell); // the image itself has a little room behind its data
      expect(first.code).toBe(0);
      const before = await readFile(disk.file);
      expect((await grow(disk, shell)).stdout.toString()).toBe(first.stdout.toString());
      expect((await readFile(disk.file)).equals(before)).toBe(true);
    }
  });
});

/** Sectors that hold a record of a logical partition, by the chain. */
async function findRecords(disk: Disk): Promise<number[]> {
  const bytes = await readFile(disk.file);
  const records: number[] = [];
  const extended = [446, 462, 478, 494].find((at) => [5, 15].includes(bytes[at + 4]!));
  if (extended === undefined) return records;
  const base = bytes.readUInt32LE(extended + 8);
  for (let at = base; ; at = base + bytes.readUInt32LE(at * 512 + 470)) {
    records.push(at);
    if (bytes[at * 512 + 466] === 0) return records;
  }
}

describe.skipIf(!present)('a power cut after any write', () => {
  it.each([512, 4096] as const)('GPT, %d-byte sectors: the kernel finds the table, the next boot finishes', async (sector) => {
    const fresh = await gptDisk(sector);
    await truncate(fresh.file, 64 * MiB);
    const vendor = (await readTable(fresh)).slice(0, 2);
    let cuts = 0;
    for (let after = 1; ; after += 1) {
      const disk = { ...fresh, file: `${fresh.file}-disk` };
      await copyFile(fresh.file, disk.file);
      const result = await grow(disk, ['dash'], await killingPath(disk, after));
      await expectKernelAccepts(disk);
      const rows = await readTable(disk);
      expect(rows.slice(0, 2)).toEqual(vendor);
      expect(rows[2]!.start).toBe(units(17, sector));
      if (result.code === 0) break;
      cuts += 1;
      expect((await grow(disk, ['dash'])).code).toBe(0);
      await expectWholeTable(disk, true);
      expect((await readTable(disk))[2]!.end).toBe(units(63, sector) - 1);
    }
    // backup entries, backup header, header, entries, header, protective MBR
    expect(cuts).toBe(6);
  }); // prettier-ignore

  it('MBR, logical: every state is whole, the next boot finishes', async () => {
    const fresh = await mbrDisk(7);
    await truncate(fresh.file, 64 * MiB);
    let cuts = 0;
    for (let after = 1; ; after += 1) {
      const disk = { ...fresh, file: `${fresh.file}-disk` };
      await copyFile(fresh.file, disk.file);
      const result = await grow(disk, ['dash'], await killingPath(disk, after));
      await expectWholeTable(disk, false);
      expect((await readTable(disk)).length).toBe(7);
      if (result.code === 0) break;
      cuts += 1;
      expect((await grow(disk, ['dash'])).code).toBe(0);
      expect((await readTable(disk)).find((row) => row.number === 7)!.end).toBe(64 * 2048 - 1);
    }
    expect(cuts).toBe(3);
  });

  it('the backup alone saves a disk whose primary was hit later', async () => {
    const disk = await gptDisk(512);
    await truncate(disk.file, 64 * MiB);
    await grow(disk, ['dash']);
    const handle = await open(disk.file, 'r+');
    await handle.write(Buffer.alloc(512), 0, 512, 512);
    await handle.close();
    expect((await readTable(disk))[2]!.end).toBe(63 * 2048 - 1);
  });
});

describe.skipIf(!present)('grow-table refuses, and changes nothing', () => {
  const cases: readonly (readonly [string, () => Promise<Disk>, string])[] = [
    ['a partition behind the data', async () => ({ ...(await gptDisk(512)), number: 2, start: 9 * 2048 }), 'lies behind'],
    ['a partition behind it on MBR', async () => ({ ...(await mbrDisk(3)), number: 2, start: 9 * 2048 }), 'lies behind'],
    ['a logical partition behind it', async () => ({ ...(await mbrDisk(7)), number: 6, start: 13 * 2048 }), 'logical partition follows'],
    ['a start that the kernel sees elsewhere', async () => ({ ...(await gptDisk(512)), start: 20 * 2048 }), 'not where the kernel'],
    ['a number that is not there', async () => ({ ...(await gptDisk(512)), number: 9 }), 'behind it'],
    ['another sector size', async () => ({ ...(await gptDisk(512)), sector: 4096 as const }), 'sector size'],
    ['a damaged header', () => damaged(512 + 60), 'header is damaged'],
    ['damaged entries', () => damaged(1024 + 40), 'entries are damaged'],
    ['no table at all', async () => ({ file: await emptyDisk(), sector: 512, number: 3, start: 2048 }), 'no partition table'],
  ]; // prettier-ignore

  async function damaged(position: number): Promise<Disk> {
    const disk = await gptDisk(512);
    const handle = await open(disk.file, 'r+');
    await handle.write(Buffer.from([0x5a]), 0, 1, position);
    await handle.close();
    return disk;
  }

  it.each(cases)('%s', async (_name, make, message) => {
    const disk = await make();
    await truncate(disk.file, 64 * MiB);
    const before = await readFile(disk.file);
    for (const shell of SHELLS) {
      const result = await grow(disk, shell);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(message);
      expect(result.stderr).toMatch(/keeps its size/);
    }
    expect((await readFile(disk.file)).equals(before)).toBe(true);
  });

  it('a disk that is smaller than its table', async () => {
    const disk = await gptDisk(512);
    await truncate(disk.file, 28 * MiB);
    expect((await grow(disk, ['dash'])).stderr).toMatch('smaller than its partition table');
  });
});
