import { UserError, type KernelCommandLine, type RandomReader } from '@boxship/model';
import { openFat } from '../fat/fat-reader.ts';
import { openExt4 } from './ext4-reader.ts';
import { probeFilesystem } from './ext4-superblock.ts';
import type { RootfsReader } from './rootfs-reader.ts';

/** Configurations of boot loaders are text of some KiB. */
const FILE_SIZE_MAX = 1024 * 1024;

/** A file system that may hold the configuration of a boot loader. */
interface BootFiles {
  /** How messages begin that name a file of it. */
  readonly name: string;
  readText(path: string): Promise<string | undefined>;
  listNames(path: string): Promise<readonly string[]>;
}

/** A partition of the base image, and what messages call it. */
export interface BootPartition {
  readonly name: string;
  readonly content: RandomReader;
}

/**
 * The kernel's command lines where boot loaders keep them: entries of systemd-boot (Boot Loader Specification, type 1),
 * extlinux.conf of syslinux and U-Boot, grub.cfg, cmdline.txt of a Raspberry Pi; on FAT and ext4 partitions and in `/boot` of
 * the rootfs. Of several entries the one that the loader starts by default, where it says so. Boot scripts of U-Boot and
 * unified kernel images are not read. What cannot be read is left out: nobody needs it to compose.
 */
export async function readKernelCommandLines(
  rootfs: RootfsReader,
  partitions: readonly BootPartition[],
): Promise<readonly KernelCommandLine[]> {
  const places: BootFiles[] = [filesOf('rootfs: /boot', rootfs, 'boot/')];
  for (const { name, content } of partitions) {
    const files = await orNothing(openBootFiles(name, content));
    if (files) places.push(files);
  }
  const lines: KernelCommandLine[] = [];
  for (const files of places) {
    for (const read of [systemdBoot, extlinux, grub, raspberryPi])
      lines.push(...((await orNothing(read(files))) ?? []));
  }
  return lines;
}

async function orNothing<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if (error instanceof UserError) return undefined; // damaged, or of a kind that we do not read
    throw error;
  });
}

async function openBootFiles(name: string, content: RandomReader): Promise<BootFiles | undefined> {
  const fat = await openFat(content);
  if (fat) {
    return {
      name,
      async readText(path) {
        const bytes = await fat.readFile(path, FILE_SIZE_MAX);
        return bytes && Buffer.from(bytes).toString('utf8');
      },
      listNames: async (path) => (await fat.readDirectory(path)).map((entry) => entry.name),
    };
  }
  if ((await probeFilesystem(content)) !== 'ext4') return undefined;
  return filesOf(name, await openExt4(content), '');
}

function filesOf(name: string, files: RootfsReader, prefix: string): BootFiles {
  return {
    name,
    readText: async (path) => await files.readText(`${prefix}${path}`, FILE_SIZE_MAX),
    listNames: async (path) => (await files.readDirectory(`${prefix}${path}`)).map((entry) => entry.name),
  };
}

/** `loader/entries/*.conf`: lines of `options` are joined; `default` of loader.conf is a name or a pattern. */
async function systemdBoot(files: BootFiles): Promise<KernelCommandLine[]> {
  const names = (await files.listNames('loader/entries')).filter((name) => name.endsWith('.conf'));
  const chosen = /^\s*default\s+(\S+)/m.exec((await files.readText('loader/loader.conf')) ?? '')?.[1];
  const matching = chosen === undefined ? [] : names.filter((name) => isMatch(name, chosen));
  const lines: KernelCommandLine[] = [];
  for (const name of matching.length > 0 ? matching : names) {
    const path = `loader/entries/${name}`;
    const text = (await files.readText(path)) ?? '';
    const options = [...text.matchAll(/^\s*options\s+(.*)$/gm)].map((match) => match[1]!.trim());
    if (/^\s*linux\s/m.test(text)) lines.push({ where: `${files.name}: ${path}`, text: options.join(' ') });
  }
  return lines;
}

/** `*` and `?`, with or without `.conf` (loader.conf(5)). */
function isMatch(name: string, pattern: string): boolean {
  const expression = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.'); // prettier-ignore
  return new RegExp(`^${expression}(\\.conf)?$`).test(name);
}

/** `append` of each `label`; of the `default` one where there is one. */
async function extlinux(files: BootFiles): Promise<KernelCommandLine[]> {
  const path = 'extlinux/extlinux.conf';
  const text = await files.readText(path);
  if (text === undefined) return [];
  const chosen = /^\s*default\s+(\S+)/im.exec(text)?.[1];
  const labels = text.split(/^\s*(?=label\s)/im).flatMap((part) => {
    const name = /^label\s+(\S+)/i.exec(part)?.[1];
    const append = /^\s*append\s+(.*)$/im.exec(part)?.[1]?.trim() ?? '';
    return name === undefined ? [] : [{ name, append }];
  });
  const found = labels.filter(({ name }) => name === chosen);
  const used = found.length > 0 ? found : labels;
  return used.map(({ append }) => ({ where: `${files.name}: ${path}`, text: append }));
}

async function grub(files: BootFiles): Promise<KernelCommandLine[]> {
  const folders = ['grub', 'grub2', 'boot/grub'];
  for (const name of await files.listNames('EFI')) folders.push(`EFI/${name}`);
  const lines: KernelCommandLine[] = [];
  for (const folder of folders) {
    const path = `${folder}/grub.cfg`;
    const text = (await files.readText(path)) ?? '';
    // what a script puts in at boot cannot be known here
    for (const [, words] of text.matchAll(/^\s*linux(?:16|efi)?\s+\S+[ \t]*(.*)$/gm)) {
      lines.push({ where: `${files.name}: ${path}`, text: words!.trim() });
    }
  }
  return lines;
}

/** One line (raspberrypi.com documentation, "cmdline.txt"); Debian and Raspberry Pi OS have it in /boot/firmware. */
async function raspberryPi(files: BootFiles): Promise<KernelCommandLine[]> {
  for (const path of ['cmdline.txt', 'firmware/cmdline.txt']) {
    const text = await files.readText(path);
    if (text !== undefined) return [{ where: `${files.name}: ${path}`, text: text.split('\n')[0]!.trim() }];
  }
  return [];
}
