import { open } from 'node:fs/promises';
import { backupSize, EFI_SYSTEM, firstUsable, LINUX_FILESYSTEM, newPartitionTable, uuidFrom } from '@boxship/disk';
import { fileWriter, type Cache, type Progress } from '@boxship/host';
import { alignUp, UserError, writerSlice, type Partition, type Problem, type Tree } from '@boxship/model';
import type { Wks, WksPart } from '@boxship/yocto';
import { planPart, type PartContent } from './part-content.ts';
import { openRootfsSource, type RootfsFile, type RootfsSource } from './rootfs-source.ts';

export interface AssemblyInputs {
  readonly wks: Wks;
  readonly rootfs: RootfsFile;
  /** By the names that the wks has: paths of files of `rawcopy`; by mount point or label, paths of folders, or files as a tree. */
  readonly files: Readonly<Record<string, string | Tree>>;
  /** What UUIDs that nobody gave are made from: equal seeds, equal bytes. */
  readonly seed: string;
}

export interface AssemblyOptions {
  readonly cache: Cache;
  readonly progress: Progress;
}

/** A partition with its content, at its place. */
interface Placed {
  readonly part: WksPart;
  readonly content: PartContent;
  readonly start: number;
}

/** Namespace of the UUIDs of assembled disks. Random once, fixed for ever: changing it changes every such disk. */
const NAMESPACE = '3f1c5a6e-2f0b-4d5e-8c11-90a7d2b64e58';
/** A disk ends with whole blocks, so that a block map has no short one. */
const BLOCK = 4096;
const MBR_PRIMARIES = 4;
/** "Basic data" of Microsoft, what parted gives a FAT in a GPT. */
const BASIC_DATA = 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7';
const FAT_LBA = '0c';
/** UEFI 2.10, table 5-8: required partition; legacy BIOS bootable. */
const ATTRIBUTE = { hidden: 1n, legacyBoot: 4n, mbrActive: 0x80n } as const;

/**
 * Writes the image of the disk that the wks describes to the new file `target`, sparse and synced. Errors, with the line of the
 * wks: WKS_OVERLAP, WKS_TOO_MANY_PARTITIONS, those of `planPart`; ROOTFS_UNKNOWN and those of the rootfs.
 */
export async function assembleDisk(inputs: AssemblyInputs, target: string, options: AssemblyOptions): Promise<void> {
  const { wks, rootfs, files, seed } = inputs;
  await using source = await openRootfsSource(rootfs, options);
  const epoch = newestTime(source);
  const uuidOf = (role: string) => uuidFrom(NAMESPACE, `${seed}\n${role}`);
  const problems: Problem[] = [];
  const contents: { part: WksPart; content: PartContent }[] = [];
  for (const part of wks.parts) {
    try {
      contents.push({ part, content: await planPart(part, { rootfs: source, files, epoch, uuidOf }) });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems); // every line that is wrong is told at once
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  const placed = placeAll(wks, contents);
  const partitions = partitionsOf(wks, placed, uuidOf);
  const end = Math.max(...placed.map(({ start, content }) => start + content.size));
  const size = alignUp(end + backupSize(wks.ptable), BLOCK);
  const handle = await open(target, 'wx', 0o644);
  try {
    await handle.truncate(size);
    const disk = fileWriter(handle, target);
    for (const { content, start } of placed) await content.write(writerSlice(disk, start));
    const diskId = wks.diskId ?? (wks.ptable === 'gpt' ? uuidOf('disk') : uuidOf('disk').slice(0, 8));
    for (const { position, bytes } of await newPartitionTable({ type: wks.ptable, diskId, partitions }, size)) {
      // a boot loader before the first partition may begin in sector 0 of an MBR: the table's own bytes alone are written
      await (wks.ptable === 'mbr' ? disk.write(position + 440, bytes.subarray(440)) : disk.write(position, bytes));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function newestTime(source: RootfsSource): number {
  if (!('tree' in source)) return 0;
  let newest = 0;
  for (const { mtime } of source.tree.entries()) newest = Math.max(newest, mtime);
  return Math.min(newest, 2 ** 32 - 1);
}

/** One after the other, as wic does. Errors: WKS_OVERLAP. */
function placeAll(wks: Wks, contents: readonly { readonly part: WksPart; readonly content: PartContent }[]): Placed[] {
  let position = firstUsable(wks.ptable);
  const placed: Placed[] = [];
  for (const { part, content } of contents) {
    const { offset, align, where, inTable } = part;
    const start = offset ?? alignUp(position, align ?? 512);
    const size = alignUp(content.size, 512);
    const before = placed.find((one) => start < one.start + one.content.size && one.start < start + size);
    const onTable = start < (inTable || wks.ptable === 'gpt' ? firstUsable(wks.ptable) : 0);
    if (before || start % 512 !== 0 || onTable) {
      const what = before
        ? `what is at line ${before.part.where.line}, bytes ${before.start} to ${before.start + before.content.size - 1}`
        : onTable
          ? 'the partition table'
          : 'half a sector';
      throw new UserError('WKS_OVERLAP', `the partition would be at bytes ${start} to ${start + size - 1}, on ${what}`, 'Change its --offset or --align.', where); // prettier-ignore
    }
    placed.push({ part, content: { ...content, size }, start });
    if (offset === undefined || start + size > position) position = start + size;
  }
  return placed;
}

function partitionsOf(wks: Wks, placed: readonly Placed[], uuidOf: (role: string) => string): Partition[] {
  const inTable = placed.filter(({ part }) => part.inTable);
  if (wks.ptable === 'mbr' && inTable.length > MBR_PRIMARIES) {
    const { where } = inTable[MBR_PRIMARIES]!.part;
    throw new UserError('WKS_TOO_MANY_PARTITIONS', `this is partition ${MBR_PRIMARIES + 1}, an MBR has ${MBR_PRIMARIES}; logical ones are not made`, 'Write bootloader --ptable gpt.', where); // prettier-ignore
  }
  return inTable.map(({ part, content, start }, index): Partition => {
    const type = part.partType ?? defaultType(wks, part);
    if ((type.length === 2) !== (wks.ptable === 'mbr')) {
      throw new UserError('WKS_BAD_VALUE', `${type} is no partition type of ${wks.ptable === 'mbr' ? 'an MBR' : 'a GPT'}`, undefined, part.where); // prettier-ignore
    }
    const gpt = (part.active ? ATTRIBUTE.legacyBoot : 0n) | (part.hidden ? ATTRIBUTE.hidden : 0n);
    return {
      number: index + 1,
      start,
      size: content.size,
      type,
      partitionUuid: part.uuid ?? uuidOf(`partition ${index + 1}`),
      ...((part.partName ?? part.label) ? { name: part.partName ?? part.label! } : {}),
      attributes: wks.ptable === 'gpt' ? gpt : part.active ? ATTRIBUTE.mbrActive : 0n,
    };
  });
}

function defaultType({ ptable }: Wks, { fstype, source }: WksPart): string {
  const isFat = fstype === 'vfat' || fstype === 'msdos' || (fstype === undefined && source?.startsWith('bootimg'));
  if (source === 'bootimg-efi') return EFI_SYSTEM[ptable];
  if (isFat) return ptable === 'gpt' ? BASIC_DATA : FAT_LBA;
  return LINUX_FILESYSTEM[ptable];
}
