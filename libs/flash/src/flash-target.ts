import { constants } from 'node:fs';
import { open, readFile, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '@boxship/model';

/** A partition of a disk, as the kernel has it. */
export interface DiskPart {
  /** `sdb1` */
  readonly name: string;
  readonly size: number;
}

/** What an image may be written to. */
export interface FlashTarget {
  /** As it was given. */
  readonly path: string;
  readonly kind: 'disk' | 'file';
  /** The kernel's name, `sdb`; of a file, its own. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly sectorSize: number;
  /** Maker and model, when the device tells. */
  readonly model?: string;
  readonly readOnly: boolean;
  readonly parts: readonly DiskPart[];
  /** What this system does with it, in words: `sdb1 is mounted at /boot`. Empty when nobody uses it. */
  readonly uses: readonly string[];
  /** The disk of which the path is a part, when it is no whole disk. */
  readonly partOf?: string;
}

/** Where the kernel tells of itself; tests give trees of their own. */
export interface SystemRoots {
  readonly sys: string;
  readonly proc: string;
}

const KERNEL: SystemRoots = { sys: '/sys', proc: '/proc' };
/** `/sys/…/size` counts these whatever the device's sectors are. */
const SYSFS_SECTOR = 512;

/**
 * What lies at `path`, following links as those of /dev/disk/by-id. Errors: NO_DEVICE, NOT_A_DEVICE, those of the file system.
 */
export async function describeTarget(path: string, roots: SystemRoots = KERNEL): Promise<FlashTarget> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError('NO_DEVICE', `there is no ${path}`, 'lsblk lists the disks of this system.');
  });
  if (info.isFile()) {
    return { path, kind: 'file', name: basename(path), size: info.size, sectorSize: 512, readOnly: false, parts: [], uses: [] }; // prettier-ignore
  }
  if (!info.isBlockDevice()) {
    throw new UserError('NOT_A_DEVICE', `${path} is neither a block device nor a file`, 'lsblk lists the disks of this system.'); // prettier-ignore
  }
  return await describeDisk(path, numbersOf(info.rdev), roots);
}

/** Of Linux' dev_t as stat has it (gnu_dev_major and gnu_dev_minor of sysmacros.h). */
function numbersOf(device: number): string {
  const value = BigInt(device);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** A device in sysfs: its folder and its `major:minor`. */
interface SysDevice {
  readonly folder: string;
  readonly name: string;
  readonly numbers: string;
}

/** What a path given with its numbers is; also for paths that do not exist on this system, as in tests. */
export async function describeDisk(path: string, numbers: string, roots: SystemRoots): Promise<FlashTarget> {
  const folder = await realpath(join(roots.sys, 'dev/block', numbers));
  const word = (name: string) => readWord(join(folder, name));
  const disk: SysDevice = { folder, name: basename(folder), numbers };
  const parts = await partsOf(disk);
  const model = (await Promise.all([word('device/vendor'), word('device/model'), word('device/name')])).filter(Boolean).join(' '); // prettier-ignore
  const isPart = (await word('partition')) !== undefined;
  return {
    path,
    kind: 'disk',
    name: disk.name,
    size: Number((await word('size')) ?? 0) * SYSFS_SECTOR,
    sectorSize: Number((await word('queue/logical_block_size')) ?? 512),
    ...(model ? { model } : {}),
    readOnly: (await word('ro')) === '1',
    parts: await Promise.all(parts.map(async (part) => ({ name: part.name, size: Number((await readWord(join(part.folder, 'size'))) ?? 0) * SYSFS_SECTOR }))), // prettier-ignore
    uses: await usesOf([disk, ...parts], roots),
    ...(isPart ? { partOf: `/dev/${basename(dirname(folder))}` } : {}),
  };
}

async function partsOf({ folder }: SysDevice): Promise<SysDevice[]> {
  const parts: SysDevice[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const part = join(folder, name);
    if ((await readWord(join(part, 'partition'))) === undefined) continue;
    parts.push({ folder: part, name, numbers: (await readWord(join(part, 'dev'))) ?? '' });
  }
  return parts;
}

/** Mounts, swap, and devices of others that stand on it (LVM, LUKS, RAID, loop), through as many floors as there are. */
async function usesOf(devices: readonly SysDevice[], roots: SystemRoots): Promise<string[]> {
  const mounts = await readMounts(roots);
  const swaps = await readSwaps(roots);
  const uses: string[] = [];
  const seen = new Set<string>();
  const visit = async (device: SysDevice, through: string): Promise<void> => {
    if (seen.has(device.folder)) return;
    seen.add(device.folder);
    const known = `${device.name}${through}`;
    for (const place of mounts.get(device.numbers) ?? []) uses.push(`${known} is mounted at ${place}`);
    if (swaps.has(device.numbers)) uses.push(`${known} is swap`);
    for (const name of await readdir(join(device.folder, 'holders')).catch(() => [])) {
      const folder = await realpath(join(device.folder, 'holders', name));
      uses.push(`${known} belongs to ${(await readWord(join(folder, 'dm/name'))) ?? name}`);
      await visit({ folder, name, numbers: (await readWord(join(folder, 'dev'))) ?? '' }, ` on ${device.name}`);
    }
  };
  for (const device of devices) await visit(device, '');
  return uses;
}

/**
 * Mount points by device, from mountinfo (proc_pid_mountinfo(5)). A file system of several devices, as btrfs, has a number of
 * its own there, so the source counts as well.
 */
async function readMounts({ proc }: SystemRoots): Promise<Map<string, string[]>> {
  const mounts = new Map<string, string[]>();
  const add = (numbers: string, place: string) => {
    const places = mounts.get(numbers) ?? [];
    if (!places.includes(place)) mounts.set(numbers, [...places, place]);
  };
  for (const line of (await readFile(join(proc, 'self/mountinfo'), 'utf8')).split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , numbers, , place] = before.split(' ');
    if (numbers === undefined || place === undefined) continue;
    add(numbers, unescape(place));
    const source = unescape(after.split(' ')[1] ?? '');
    if (source.startsWith('/')) {
      const other = await deviceNumbers(source);
      if (other) add(other, unescape(place));
    }
  }
  return mounts;
}

async function readSwaps({ proc }: SystemRoots): Promise<Set<string>> {
  const lines = (await readFile(join(proc, 'swaps'), 'utf8').catch(() => '')).split('\n').slice(1);
  const found = await Promise.all(lines.map((line) => deviceNumbers(unescape(line.split(/\s/)[0] ?? ''))));
  return new Set(found.filter((numbers) => numbers !== undefined));
}

async function deviceNumbers(path: string): Promise<string | undefined> {
  if (!path.startsWith('/')) return undefined;
  const info = await stat(resolve(path)).catch(() => undefined);
  return info?.isBlockDevice() ? numbersOf(info.rdev) : undefined;
}

/** `\040` and its kin, as the kernel writes blanks in these files. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

async function readWord(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/**
 * Opens a target for this process alone: for a block device O_EXCL means that nobody else has a claim to it, mounted, swap or
 * otherwise (open(2)). Errors: DEVICE_IN_USE, and those of the system.
 */
export async function openExclusively({ path, kind }: Pick<FlashTarget, 'path' | 'kind'>) {
  const flags = constants.O_RDWR | (kind === 'disk' ? constants.O_EXCL : 0);
  return await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EBUSY') throw error;
    throw new UserError(
      'DEVICE_IN_USE',
      `${path} is in use: the system does not give it to anybody else`,
      'Unmount what is on it (lsblk shows it), and end programs that read it.',
    );
  });
}
