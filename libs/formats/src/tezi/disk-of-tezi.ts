import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { assembleDisk } from '@boxship/disk-assembly';
import { hashFile, openDiskImage, type DiskImage } from '@boxship/disk';
import { openTarRootfs, readRootfsTree } from '@boxship/filesystem';
import { silent, type Cache, type Progress } from '@boxship/host';
import { MiB, UserError, type Problem, type Tree } from '@boxship/model';
import type { Wks, WksPart } from '@boxship/yocto';
import type { TeziRootfs } from './find-rootfs.ts';
import type { TeziBlockDevice, TeziContent, TeziPartition } from './image-json.ts';
import type { TeziImage } from './tezi-image.ts';

/** What the installer would lay onto the device of the rootfs, as the lines of a wks. */
export interface DiskOfTezi {
  readonly wks: Wks;
  /** Archives of partitions besides the rootfs, and files that are taken as they are, by the names of the wks. */
  readonly archives: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  /** What of the vendor's image is not on such a disk. */
  readonly warnings: readonly string[];
}

/** Where partitions begin: the erase block of common eMMC. */
const ALIGNMENT = 4 * MiB;
/** Room in a file system that the installer would have made larger, over its files; wic's default. */
const OVERHEAD = 1.3;

/**
 * The disk that the installer would make of an image, when a disk can hold all that matters of it. Errors: TEZI_NO_DISK with
 * everything that keeps it from that, each with its place.
 */
export function planDiskOfTezi(image: TeziImage, rootfs: TeziRootfs): DiskOfTezi {
  const [kind, index] = rootfs.path as [string, number];
  const problems: Problem[] = [];
  const refuse = (path: readonly (string | number)[], message: string, hint = 'Ask the vendor for the image of a disk, or write "artifacts: [tezi]".') =>
    problems.push({ code: 'TEZI_NO_DISK', message, hint, where: image.locate(path) }); // prettier-ignore
  if (kind !== 'blockdevs') {
    refuse(rootfs.path, `the rootfs is in NAND (${rootfs.device}): there is no disk to make an image of`);
    throw new UserError(problems);
  }
  const devices = image.json.blockdevs!;
  const device = devices[index]!;
  const archives = new Map<string, string>();
  const files = new Map<string, string>();
  if (device.table_type !== undefined && !['gpt', 'dos', 'msdos', 'mbr'].includes(device.table_type)) {
    refuse(['blockdevs', index, 'table_type'], `a partition table "${device.table_type}" is not known`);
  }
  devices.forEach((other, i) => {
    if (i !== index && other.partitions) refuse(['blockdevs', i], `${other.name} has partitions, too: one disk holds those of ${device.name} alone`); // prettier-ignore
  });
  const parts = device.partitions!.map((partition, j): WksPart => {
    const path = ['blockdevs', index, 'partitions', j, 'content'];
    const name = `partition ${j + 1}`;
    const isRootfs = j + 1 === rootfs.partition;
    const part = partOf(partition, image.locate(path), (message) => refuse(path, `${name}: ${message}`));
    const { filename } = partition.content ?? {};
    if (isRootfs) return { ...part, mountPoint: '/', source: 'rootfs' };
    const raw = partition.content?.rawfile ?? partition.content?.rawfiles?.[0];
    if (raw) {
      files.set(name, join(image.folder, raw.filename));
      return { ...part, source: 'rawcopy', sourceParameters: { file: name } };
    }
    if (filename) archives.set(name, join(image.folder, filename));
    return filename ? { ...part, mountPoint: name, source: 'extra-partition' } : part;
  });
  if (problems.length > 0) throw new UserError(problems);
  return {
    wks: { ptable: device.table_type === 'gpt' ? 'gpt' : 'mbr', parts },
    archives,
    files,
    warnings: warningsOf(image, device, rootfs),
  };
}

function partOf(
  { partition_size_nominal, want_maximised, partition_type, content = {} }: TeziPartition,
  where: WksPart['where'],
  refuse: (message: string) => void,
): WksPart {
  const size = Math.ceil(Number(partition_size_nominal)) * MiB;
  const { filesystem_type: type = 'raw', label } = content;
  const fstype = type === 'FAT' ? 'vfat' : type === 'ext4' ? 'ext4' : undefined;
  if (!fstype && type !== 'raw') refuse(`a file system ${type} is not made`);
  if (content.filelist?.length) refuse(`its "filelist" adds files to the archive`);
  const raws = content.rawfiles ?? (content.rawfile ? [content.rawfile] : []);
  if (raws.length > 1 || raws.some(({ dd_options, offset }) => (dd_options ?? '') !== '' || offset !== undefined)) {
    refuse('it has several raw files, or one that does not begin where the partition begins');
  }
  return {
    active: false,
    hidden: false,
    inTable: true,
    sourceParameters: {},
    align: ALIGNMENT,
    where,
    ...(want_maximised === true ? { size, overheadFactor: OVERHEAD, extraSpace: 0 } : { fixedSize: size, overheadFactor: 1, extraSpace: 0 }), // prettier-ignore
    ...(fstype ? { fstype } : {}),
    ...(fstype && label ? { label } : {}),
    ...(partition_type ? { partType: partition_type.toLowerCase().padStart(2, '0') } : {}),
    ...mkfsOptions(content, fstype, refuse),
  };
}

/** Options of mkfs that change nothing that we write, and those that we keep. */
function mkfsOptions(
  { mkfs_options = '' }: TeziContent,
  fstype: string | undefined,
  refuse: (message: string) => void,
): Pick<WksPart, 'fsUuid' | 'mkfsOptions'> {
  const words = mkfs_options.replace(/(^|\s)-([EUF])\s+/g, '$1-$2').split(/\s+/).filter(Boolean); // prettier-ignore
  const uuid = words.find((word) => fstype === 'ext4' && /^-U[0-9a-f-]{36}$/i.test(word));
  const bits = words.find((word) => fstype === 'vfat' && /^-F(16|32)$/.test(word));
  const other = words.filter((word) => word !== uuid && word !== bits && word !== '-F' && word !== '-Enodiscard');
  if (other.length > 0) refuse(`"mkfs_options" has ${other.join(' ')}, which is not done`);
  return { ...(uuid ? { fsUuid: uuid.slice(2).toLowerCase() } : {}), ...(bits ? { mkfsOptions: bits } : {}) };
}

/** What the installer does besides, and a disk image cannot. */
function warningsOf({ json }: TeziImage, device: TeziBlockDevice, rootfs: TeziRootfs): readonly string[] {
  const others = json.blockdevs!.filter((one) => one !== device);
  const scripts = ['prepare_script', 'wrapup_script', 'u_boot_env'].filter((field) => typeof (json as unknown as Record<string, unknown>)[field] === 'string'); // prettier-ignore
  const { want_maximised } = device.partitions![rootfs.partition - 1]!;
  return [
    ...others.map(({ name, content }) => {
      const names = [content?.rawfile, ...(content?.rawfiles ?? [])].flatMap((raw) => (raw ? [raw.filename] : []));
      return `the image of the disk is that of ${device.name} alone: ${name} (${names.join(', ')}) stays as the module has it, so a module without a boot loader does not start`;
    }),
    ...(scripts.length > 0 ? [`nobody runs or sets what the installer would: ${scripts.join(', ')}`] : []),
    ...(want_maximised === true ? ['the rootfs does not grow on the device: what is left of it goes to the data partition'] : []), // prettier-ignore
  ];
}

/** Counts up when equal inputs begin to give other bytes. */
const KIND = 'disk-of-tezi-v1';

/** The image of that disk, in the cache. `identity` tells one vendor image from another. Errors: those of the archives. */
export async function assembleDiskOfTezi(
  image: TeziImage,
  rootfs: TeziRootfs,
  { wks, archives, files }: DiskOfTezi,
  { cache, progress = silent, identity }: { readonly cache: Cache; readonly progress?: Progress; readonly identity: string },
): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([identity, image.json, rootfs.path])).digest('hex'); // prettier-ignore
  return await cache.get(KIND, key, async (target) => {
    const step = progress.start(`assembling the disk of ${image.json.name}`);
    const open: DiskImage[] = [];
    try {
      const contents: Record<string, string | Tree> = Object.fromEntries(files);
      for (const [name, path] of archives) {
        const archive = await openDiskImage(path, { cache, progress });
        open.push(archive);
        const reader = await openTarRootfs(archive, { name: path });
        contents[name] = await readRootfsTree(reader, { id: `${name}:${await archive.digest()}` });
      }
      const path = join(image.folder, rootfs.filename);
      const { digest } = await hashFile(path);
      const seed = JSON.stringify([image.json.supported_product_ids, rootfs.device, wks.parts.map(({ label, fstype }) => [label, fstype])]); // prettier-ignore
      await assembleDisk({ wks, rootfs: { path, digest }, files: contents, seed }, target, { cache, progress });
    } finally {
      for (const archive of open) await archive.close();
      step.end();
    }
  });
} // prettier-ignore
