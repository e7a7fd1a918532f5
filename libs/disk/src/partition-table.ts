import { UserError, type Partition, type PartitionTable, type Problem, type RandomReader } from '@boxship/model';
import { protectiveEntry, readGptCopies, tableFromGpt } from './gpt-copies.ts';
import type { SectorSize } from './gpt.ts';
import {
  areEntriesSane,
  DISK_ID_AT,
  ENTRY_SIZE,
  hasBootSignature,
  isUsed,
  readMbrEntries,
  readMbrPartitions,
  typeName,
  type MbrEntry,
} from './mbr.ts';
import { isExtended } from './partition-type.ts';

/** Sectors that an MBR can count: 32 bits. 2 TiB of 512 bytes. */
export const MBR_SECTORS = 2 ** 32;

/**
 * The partition table of a whole-disk image: GPT (UEFI 2.10, chapter 5) or MBR with its logical partitions. The sector
 * size is found by looking: 512 or 4096. Faults that leave one sound copy are in `warnings`.
 *
 * A GPT counts when sector 0 has a protective entry, or no partitions at all; an MBR that names only other partitions
 * wins over a GPT beside it, as in Linux. A hybrid MBR is read as GPT.
 *
 * Errors: IMAGE_TOO_SMALL, NO_PARTITION_TABLE, GPT_CORRUPT, MBR_CHAIN_BROKEN, IMAGE_TRUNCATED, PARTITIONS_OVERLAP,
 * PARTITION_EMPTY; all with byte numbers.
 */
export async function readPartitionTable(reader: RandomReader): Promise<PartitionTable> {
  if (reader.size < 1024) {
    throw new UserError('IMAGE_TOO_SMALL', `the base image is ${reader.size} bytes: no disk image is that small`);
  }
  const sector0 = await reader.read(0, 512);
  const entries = hasBootSignature(sector0) ? readMbrEntries(sector0) : [];
  const plainMbr =
    entries.some(isUsed) && areEntriesSane(entries) && !protectiveEntry(sector0) && !isBareVolume(sector0);
  const table = plainMbr ? await tableFromMbr(reader, sector0, entries) : await tableFromGptOrNothing(reader, sector0);
  checkPartitions(table, reader.size);
  return table;
}

async function tableFromGptOrNothing(reader: RandomReader, sector0: Uint8Array): Promise<PartitionTable> {
  const copies = await readGptCopies(reader, sector0);
  if (copies) return tableFromGpt(copies);
  const found = isBareVolume(sector0) ? 'a bare FAT or NTFS volume' : 'neither a GPT nor an MBR';
  throw new UserError(
    'NO_PARTITION_TABLE',
    `the base image (${reader.size} bytes) has no partition table: sector 0 has ${found}`,
    'Give the image of a whole disk (.wic, .img, .sdcard), not that of one file system.',
  );
}

async function tableFromMbr(
  reader: RandomReader,
  sector0: Uint8Array,
  entries: readonly MbrEntry[],
): Promise<PartitionTable> {
  const sectorSize = await probeMbrSectorSize(reader, entries);
  const bytes = Buffer.from(sector0.buffer, sector0.byteOffset, sector0.byteLength);
  const diskId = bytes.readUInt32LE(DISK_ID_AT).toString(16).padStart(8, '0');
  const { partitions, chain } = await readMbrPartitions(reader, sector0, sectorSize, diskId);
  const stale = await readGptCopies(reader, sector0).catch(() => undefined);
  const warnings: Problem[] = stale
    ? [
        {
          code: 'MBR_WITH_STALE_GPT',
          message: 'the image has a GPT, but its MBR does not point to it: the MBR is used, as Linux does',
          hint: 'If the GPT is the right one, give the disk a protective MBR: sgdisk --new-disk or "gdisk".',
        },
      ]
    : [];
  return {
    type: 'mbr',
    sectorSize,
    diskId,
    partitions,
    usable: { start: sectorSize, end: Math.min(reader.size, MBR_SECTORS * sectorSize) },
    slots: 4,
    entrySize: ENTRY_SIZE,
    metadata: { primary: [{ start: 0, end: sectorSize }, ...chain], backup: [] },
    warnings,
  };
}

/** The boot sector of a file system that fills the device: it ends with 55 aa too. */
function isBareVolume(sector0: Uint8Array): boolean {
  const text = (start: number, end: number) => Buffer.from(sector0.subarray(start, end)).toString('latin1');
  const fat = text(54, 59) === 'FAT12' || text(54, 59) === 'FAT16' || text(82, 87) === 'FAT32';
  const entries = readMbrEntries(sector0);
  return (fat || text(3, 7) === 'NTFS') && !(entries.some(isUsed) && areEntriesSane(entries));
}

/**
 * An MBR does not say how large its sectors are: 512, unless file systems (or records of logical partitions) are found
 * where 4096 puts them and none where 512 does.
 */
async function probeMbrSectorSize(reader: RandomReader, entries: readonly MbrEntry[]): Promise<SectorSize> {
  for (const sectorSize of [512, 4096] as const) {
    for (const { start, type } of entries.filter(isUsed)) {
      if (await isContentAt(reader, start * sectorSize, isExtended(typeName(type)))) return sectorSize;
    }
  }
  return 512;
}

async function isContentAt(reader: RandomReader, position: number, extended: boolean): Promise<boolean> {
  if (position + 2048 > reader.size) return false;
  const bytes = Buffer.from(await reader.read(position, 2048));
  // ext2/3/4: superblock at 1024, magic at 56 (kernel Documentation/filesystems/ext4/globals). FAT, NTFS: 55 aa.
  if (!extended && bytes.readUInt16LE(1024 + 56) === 0xef53) return true;
  return hasBootSignature(bytes) && (extended || bytes[0] === 0xeb || bytes[0] === 0xe9);
}

function checkPartitions(table: PartitionTable, size: number): void {
  const problems: Problem[] = [];
  for (const { number, start, size: length } of table.partitions) {
    if (length <= 0) {
      problems.push({
        code: 'PARTITION_EMPTY',
        message: `partition ${number} starts at byte ${start} and ends ${-length} bytes before it`,
        hint: 'The partition table is damaged: fetch the base image again.',
      });
    }
  }
  const end = Math.max(0, ...table.partitions.map((partition) => partition.start + partition.size));
  if (end > size) {
    const beyond = table.partitions.filter((partition) => partition.start + partition.size > size);
    const names = beyond.map(({ number, start, size: length }) => `${number} ends at ${start + length}`).join(', ');
    problems.push({
      code: 'IMAGE_TRUNCATED',
      message: `the base image is ${size} bytes, its table says ${end}: partition ${names}`,
      hint: 'The file was cut short: fetch it again and compare its size with that of the vendor.',
    });
  }
  problems.push(...findOverlaps(table.partitions));
  if (problems.length > 0) throw new UserError(problems);
}

function findOverlaps(partitions: readonly Partition[]): Problem[] {
  const problems: Problem[] = [];
  const inOrder = [...partitions].sort((a, b) => a.start - b.start || b.size - a.size);
  inOrder.forEach((a, index) => {
    for (const b of inOrder.slice(index + 1)) {
      if (b.start >= a.start + a.size) break;
      // A logical partition lies in its extended one; its own number is 5 or more.
      if (isExtended(a.type) && b.number > 4 && b.start + b.size <= a.start + a.size) continue;
      problems.push({
        code: 'PARTITIONS_OVERLAP',
        message: `partitions ${a.number} (bytes ${a.start}..${a.start + a.size}) and ${b.number} (bytes ${b.start}..${b.start + b.size}) overlap`,
        hint: 'The base image cannot be right as it is: ask its vendor, or look with "sfdisk --verify FILE".',
      });
    }
  });
  return problems;
}
