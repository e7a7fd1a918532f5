import { UserError, type ByteRange, type Partition, type RandomReader } from '@boxship/model';
import type { SectorSize } from './gpt.ts';
import { isExtended } from './partition-type.ts';

/** One of the four 16-byte entries of a boot record. Positions in sectors. */
export interface MbrEntry {
  readonly status: number;
  readonly type: number;
  readonly start: number;
  readonly count: number;
}

export const ENTRIES_AT = 446;
export const ENTRY_SIZE = 16;
/** Disk signature, 4 bytes, little-endian. */
export const DISK_ID_AT = 440;
/** Longest chain of logical partitions that is believed; Linux stops at 256 minors long before. */
const MAX_LOGICAL = 256;

export function hasBootSignature(sector: Uint8Array): boolean {
  return sector[510] === 0x55 && sector[511] === 0xaa;
}

export function readMbrEntries(sector: Uint8Array): MbrEntry[] {
  const bytes = Buffer.from(sector.buffer, sector.byteOffset, sector.byteLength);
  return [0, 1, 2, 3].map((index) => {
    const at = ENTRIES_AT + index * ENTRY_SIZE;
    return {
      status: bytes[at]!,
      type: bytes[at + 4]!,
      start: bytes.readUInt32LE(at + 8),
      count: bytes.readUInt32LE(at + 12),
    };
  });
}

/** Whether the four entries can be partitions at all; the boot sector of a bare FAT volume has text there. */
export function areEntriesSane(entries: readonly MbrEntry[]): boolean {
  return entries.every(
    ({ status, type, start, count }) => (status & 0x7f) === 0 && (type === 0 || count === 0 || start > 0),
  );
}

export function typeName(type: number): string {
  return type.toString(16).padStart(2, '0');
}

export function isUsed({ type, count }: MbrEntry): boolean {
  return type !== 0 && count !== 0;
}

/** PARTUUID of Linux: disk signature and number, both in hex. */
export function mbrPartitionUuid(diskId: string, number: number): string {
  return `${diskId}-${number.toString(16).padStart(2, '0')}`;
}

/** Partitions of an MBR and of the chains of its extended partitions, and the sectors of those chains. */
export async function readMbrPartitions(
  reader: RandomReader,
  sector: Uint8Array,
  sectorSize: SectorSize,
  diskId: string,
): Promise<{ partitions: Partition[]; chain: ByteRange[] }> {
  const describe = (entry: MbrEntry, base: number, number: number): Partition => ({
    number,
    start: (base + entry.start) * sectorSize,
    size: entry.count * sectorSize,
    type: typeName(entry.type),
    partitionUuid: mbrPartitionUuid(diskId, number),
    attributes: BigInt(entry.status & 0x80),
  });
  const primaries = readMbrEntries(sector).flatMap((entry, index) =>
    isUsed(entry) ? [describe(entry, 0, index + 1)] : [],
  );
  const partitions = [...primaries];
  const chain: ByteRange[] = [];
  let number = 5;
  for (const extended of primaries.filter(({ type }) => isExtended(type))) {
    const base = extended.start / sectorSize;
    const seen = new Set<number>();
    let next: number | undefined = base;
    while (next !== undefined) {
      const lba: number = next;
      next = undefined;
      if (seen.has(lba) || seen.size >= MAX_LOGICAL) throw chainError(extended, lba * sectorSize, 'runs in a loop');
      seen.add(lba);
      if ((lba + 1) * sectorSize > reader.size) {
        throw chainError(extended, lba * sectorSize, `leaves the image of ${reader.size} bytes`);
      }
      const record = await reader.read(lba * sectorSize, sectorSize);
      if (!hasBootSignature(record)) {
        // An extended partition that nobody has put anything in has no record at all.
        if (lba === base && record.every((byte) => byte === 0)) break;
        throw chainError(extended, lba * sectorSize, 'has a record without the signature 55 aa');
      }
      chain.push({ start: lba * sectorSize, end: (lba + 1) * sectorSize });
      // First entry: the partition, counted from this record. Second: the next record, counted from the extended one.
      const [own, link] = readMbrEntries(record) as [MbrEntry, MbrEntry, MbrEntry, MbrEntry];
      if (isUsed(own) && !isExtended(typeName(own.type))) partitions.push(describe(own, lba, number++));
      if (isUsed(link) && isExtended(typeName(link.type))) next = base + link.start;
    }
  }
  return { partitions, chain };
}

function chainError(extended: Partition, position: number, what: string): UserError {
  return new UserError(
    'MBR_CHAIN_BROKEN',
    `the chain of logical partitions of extended partition ${extended.number} ${what} (at byte ${position})`,
    'The base image is damaged: fetch it again, or look at it with "sfdisk --verify FILE".',
  );
}
