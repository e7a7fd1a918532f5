import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { UserError } from '@boxship/model';

/** What a boot loader would start. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd?: string;
  /** The kernel command line of the loader entry. */
  readonly commandLine: string;
}

/** Partition types that hold a FAT: EFI system and Microsoft basic data (GPT), FAT16, FAT32 and EFI (MBR). */
const FAT_TYPES = [
  ...['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'],
  ...['4', '6', 'b', 'c', 'e', 'ef'],
];

interface SfdiskTable {
  readonly sectorsize?: number;
  readonly partitions?: readonly { readonly start: number; readonly type: string }[];
}

/**
 * Copies kernel and initramfs out of the boot partition of a raw disk image into `folder`, as its loader entry names them
 * (UAPI "Boot Loader Specification": /loader/entries/*.conf on a FAT partition). The image is not changed.
 * Errors: NO_BOOT_FILES.
 */
export async function readBootFiles(image: string, folder: string): Promise<BootFiles> {
  const { stdout } = await runProgram('sfdisk', ['--json', image]);
  const table = (JSON.parse(stdout.toString()) as { partitiontable: SfdiskTable }).partitiontable;
  for (const { start } of (table.partitions ?? []).filter(({ type }) => FAT_TYPES.includes(type))) {
    const fat = `${image}@@${start * (table.sectorsize ?? 512)}`;
    const entry = await readLoaderEntry(fat);
    if (!entry) continue;
    const take = async (path: string, name: string) => {
      await runProgram('mcopy', ['-n', '-i', fat, `::${path}`, join(folder, name)]);
      return join(folder, name);
    };
    const kernel = await take(entry.linux, 'kernel');
    const initrd = entry.initrd === undefined ? undefined : await take(entry.initrd, 'initrd');
    return { kernel, commandLine: entry.options, ...(initrd === undefined ? {} : { initrd }) };
  }
  throw new UserError(
    'NO_BOOT_FILES',
    `${image} has no FAT partition with a loader entry (/loader/entries/*.conf) that names a kernel`,
    'Give the kernel and the initramfs as files, or boot with UEFI firmware.',
  );
}

async function readLoaderEntry(fat: string): Promise<{ linux: string; initrd?: string; options: string } | undefined> {
  // mdir -b prints a full path a line; it fails where there is no such folder or no FAT
  const listed = await runProgram('mdir', ['-b', '-i', fat, '::/loader/entries'], { accept: [0, 1] });
  const entries = listed.stdout.toString().split('\n').filter((line) => line.endsWith('.conf')).sort(); // prettier-ignore
  for (const path of entries) {
    const { stdout } = await runProgram('mtype', ['-i', fat, path]);
    const values = new Map<string, string>();
    for (const line of stdout.toString().split('\n')) {
      const [, key, value] = /^\s*([a-z-]+)\s+(.*?)\s*$/.exec(line) ?? [];
      if (key === undefined || value === undefined) continue;
      values.set(key, key === 'options' && values.has(key) ? `${values.get(key)} ${value}` : value);
    }
    const linux = values.get('linux');
    const initrd = values.get('initrd');
    if (linux) return { linux, options: values.get('options') ?? '', ...(initrd === undefined ? {} : { initrd }) };
  }
  return undefined;
}

/** Where Debian, Ubuntu and Fedora keep the UEFI firmware: code, and the variables to start with. */
const FIRMWARE = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
] as const;

/** The UEFI firmware of this host. Errors: NO_FIRMWARE. */
export async function findFirmware(): Promise<{ readonly code: string; readonly variables: string }> {
  for (const [code, variables] of FIRMWARE) {
    const found = await Promise.all([code, variables].map((path) => stat(path).catch(() => undefined)));
    if (found.every((info) => info !== undefined)) return { code, variables };
  }
  throw new UserError('NO_FIRMWARE', 'no UEFI firmware for QEMU is installed', 'Install it: apt-get install ovmf');
}
