import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GiB, MiB, type UserError } from '@boxship/model';
import { describeDisk, describeTarget, type FlashTarget } from './flash-target.ts';
import { refuseTarget, type TargetLimits } from './refuse-target.ts';

let folder = '';
const roots = { sys: '', proc: '' };

/** A kernel's view of two disks: sda, which the system runs from (LUKS and LVM on sda2, swap on sda3), and sdb, a card. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-flash-'));
  Object.assign(roots, { sys: join(folder, 'sys'), proc: join(folder, 'proc') });
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), `${text}\n`);
  };
  const device = async (path: string, numbers: string, sectors: number, partition?: number) => {
    await put(`sys/devices/${path}/dev`, numbers);
    await put(`sys/devices/${path}/size`, String(sectors));
    await put(`sys/devices/${path}/ro`, '0');
    await mkdir(join(folder, `sys/devices/${path}/holders`), { recursive: true });
    if (partition !== undefined) await put(`sys/devices/${path}/partition`, String(partition));
    await mkdir(join(folder, 'sys/dev/block'), { recursive: true });
    await symlink(`../../devices/${path}`, join(folder, 'sys/dev/block', numbers));
  };
  const holds = (upper: string, lower: string) =>
    symlink(
      join(folder, 'sys/devices', upper),
      join(folder, 'sys/devices', lower, 'holders', upper.split('/').at(-1)!),
    );
  await device('sda', '8:0', 1_000_000_000);
  await device('sda/sda1', '8:1', 1_000_000, 1);
  await device('sda/sda2', '8:2', 900_000_000, 2);
  await device('virtual/dm-0', '254:0', 900_000_000);
  await put('sys/devices/virtual/dm-0/dm/name', 'crypt');
  await device('virtual/dm-1', '254:1', 800_000_000);
  await put('sys/devices/virtual/dm-1/dm/name', 'vg-root');
  await holds('virtual/dm-0', 'sda/sda2');
  await holds('virtual/dm-1', 'virtual/dm-0');
  await device('sdb', '8:16', (16 * GiB) / 512);
  await device('sdb/sdb1', '8:17', (64 * MiB) / 512, 1);
  await put('sys/devices/sdb/device/vendor', 'Acme  ');
  await put('sys/devices/sdb/device/model', 'Reader');
  await put('sys/devices/sdb/queue/logical_block_size', '512');
  await device('sdc', '8:32', 0);
  await device('sdd', '8:48', (16 * GiB) / 512);
  await put('sys/devices/sdd/ro', '1');
  await device('sdd/sdd1', '8:49', 2048, 1);
  await put(
    'proc/self/mountinfo',
    [
      '28 1 254:1 / / rw,relatime - ext4 /dev/mapper/vg-root rw',
      '40 28 8:1 / /boot/efi rw - vfat /dev/sda1 rw',
      '41 28 8:49 / /media/a\\040card rw - ext4 /dev/sdd1 rw',
      '42 28 0:40 / /proc rw - proc proc rw',
    ].join('\n'),
  );
  await put('proc/swaps', 'Filename\tType\tSize\tUsed\tPriority');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const describeIt = (name: string, numbers: string) => describeDisk(`/dev/${name}`, numbers, roots);
const LIMITS: TargetLimits = {
  imageSize: GiB,
  largest: 32 * GiB,
  largestFrom: 'the largest storage of panel',
  allowFile: false,
};
const fault = (target: FlashTarget, limits: Partial<TargetLimits> = {}): UserError => {
  try {
    refuseTarget(target, { ...LIMITS, ...limits });
  } catch (error) {
    return error as UserError;
  }
  return expect.fail('no error');
};

describe('what may be overwritten', () => {
  it('a card that nobody uses, whatever is on it', async () => {
    const card = await describeIt('sdb', '8:16');
    expect(card).toEqual({
      path: '/dev/sdb', kind: 'disk', name: 'sdb', size: 16 * GiB, sectorSize: 512, model: 'Acme Reader', readOnly: false,
      parts: [{ name: 'sdb1', size: 64 * MiB }], uses: [],
    }); // prettier-ignore
    refuseTarget(card, LIMITS);
  });

  it('not the disk that the system runs from, through LVM and LUKS', async () => {
    const error = fault(await describeIt('sda', '8:0'));
    expect(error.problems.map(({ code }) => code)).toEqual(['DEVICE_IN_USE', 'DEVICE_TOO_LARGE']);
    expect(error.message).toContain(
      '/dev/sda is in use, by this very system: sda1 is mounted at /boot/efi, sda2 belongs to crypt, dm-0 on sda2 belongs to vg-root, dm-1 on dm-0 is mounted at /',
    );
  });

  it('not a mounted card, one that is write-protected, a reader without a card', async () => {
    const mounted = fault(await describeIt('sdd', '8:48'));
    expect(mounted.problems.map(({ code }) => code)).toEqual(['DEVICE_IN_USE', 'DEVICE_READ_ONLY']);
    expect(mounted.message).toContain('/dev/sdd is in use: sdd1 is mounted at /media/a card');
    const empty = fault(await describeIt('sdc', '8:32'));
    expect(empty).toMatchObject({ code: 'DEVICE_TOO_SMALL', problems: [{ hint: 'No card is in it, as it seems.' }] });
  });

  it('not a partition, not something too small or too large', async () => {
    expect(fault(await describeIt('sdb1', '8:17')).problems.map(({ code }) => code)).toEqual(['NOT_A_WHOLE_DISK', 'DEVICE_TOO_SMALL']); // prettier-ignore
    const card = await describeIt('sdb', '8:16');
    expect(fault(card, { imageSize: 16 * GiB + 512 }).message).toContain('(17179869184 bytes), the image is 16.0 GiB (17179869696 bytes)'); // prettier-ignore
    refuseTarget(card, { ...LIMITS, imageSize: 16 * GiB });
    expect(fault(card, { largest: 8 * GiB }).message).toContain('has 16.0 GiB, more than 8.0 GiB, the largest storage of panel'); // prettier-ignore
  });

  it('a file only when that was asked for; nothing else', async () => {
    const file = join(folder, 'disk.raw');
    await writeFile(file, 'x');
    const target = await describeTarget(file);
    expect(target).toMatchObject({ kind: 'file', name: 'disk.raw', size: 1 });
    expect(fault(target).code).toBe('NOT_A_DEVICE');
    refuseTarget(target, { ...LIMITS, allowFile: true });
    await expect(describeTarget('/dev/null')).rejects.toMatchObject({ code: 'NOT_A_DEVICE' });
    await expect(describeTarget(folder)).rejects.toMatchObject({ code: 'NOT_A_DEVICE' });
    await expect(describeTarget(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'NO_DEVICE' });
  });
});
