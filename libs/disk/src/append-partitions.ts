import {
  alignUp,
  MiB,
  UserError,
  type ByteRange,
  type Partition,
  type PartitionTable,
  type RandomReader,
} from '@boxship/model';
import { mbrPartitionUuid } from './mbr.ts';
import { EFI_SYSTEM, isExtended, LINUX_FILESYSTEM } from './partition-type.ts';
import { MBR_SECTORS } from './partition-table.ts';
import { isUuid } from './uuid.ts';

/** A partition to be made. Where it lies is found. */
export interface NewPartition {
  /** GPT partition name, up to 36 UTF-16 units; an MBR has no place for it. */
  readonly name: string;
  /** As the table has types (GUID, or two hex digits); a plain Linux file system by default. */
  readonly type?: string;
  /** GPT partition GUID. An MBR makes its own from disk signature and number. */
  readonly partitionUuid: string;
  /** Bytes; rounded up to whole sectors. */
  readonly size: number;
  /** GPT attribute bits; of an MBR's, bit 7 alone (bootable) counts. */
  readonly attributes?: bigint;
}

export interface AppendOptions {
  /** Partitions start at multiples of this many bytes. Default 1 MiB; 4 MiB suits eMMC and SD cards. */
  readonly alignment?: number;
  /** No new partition starts below this byte: the end of vendor bytes behind the last partition (`findDataEnd`). */
  readonly after?: number;
}

export interface AppendedPartitions {
  readonly table: PartitionTable;
  /** Bytes of the device that the new table needs; never less than before. */
  readonly deviceSize: number;
  /** The new partitions as the table has them, in the order given. */
  readonly added: readonly Partition[];
  /** Bytes of the old backup GPT that are no table any more: not to be copied. A new partition may lie there. */
  readonly stale: readonly ByteRange[];
}

/**
 * The table with `news` behind the last partition of the disk, in the order given, on a device that grows as needed.
 * Vendor partitions keep numbers, places and every attribute. GPT: the lowest free entries, the backup at the new end.
 * MBR: free primary entries when they suffice, else logical ones in an extended partition that is last (and grows) or
 * that is made in a free primary entry.
 *
 * Errors: GPT_FULL, MBR_FULL, MBR_TOO_LARGE (2 TiB with 512-byte sectors), DUPLICATE_PARTITION_UUID.
 */
export function appendPartitions(
  table: PartitionTable,
  deviceSize: number,
  news: readonly NewPartition[],
  { alignment = MiB, after = 0 }: AppendOptions = {},
): AppendedPartitions {
  if (alignment % table.sectorSize !== 0) throw new Error(`alignment ${alignment} is not a multiple of a sector`);
  const first = Math.max(after, table.usable.start, ...table.partitions.map(endOf));
  return table.type === 'gpt'
    ? appendToGpt(table, deviceSize, news, alignment, first)
    : appendToMbr(table, deviceSize, news, alignment, first, after);
}

export function endOf({ start, size }: Partition): number {
  return start + size;
}

function appendToGpt(
  table: PartitionTable,
  deviceSize: number,
  news: readonly NewPartition[],
  alignment: number,
  first: number,
): AppendedPartitions {
  const { sectorSize, slots, entrySize } = table;
  const used = new Set(table.partitions.map(({ number }) => number));
  const free = Array.from({ length: slots }, (_, index) => index + 1).filter((number) => !used.has(number));
  if (free.length < news.length) {
    throw new UserError(
      'GPT_FULL',
      `the GPT has ${slots} entries, ${used.size} are used: ${news.length} more do not fit`,
      'Ask the vendor for an image whose GPT has 128 entries, which is what sgdisk, sfdisk and wic write.',
    );
  }
  const known = new Map(table.partitions.map((partition) => [partition.partitionUuid, partition.number]));
  let position = first;
  const added = news.map((wanted, index): Partition => {
    if (!isUuid(wanted.partitionUuid)) throw new Error(`not a GUID in lower case: ${wanted.partitionUuid}`);
    if (wanted.name.length > 36) throw new Error(`partition name has more than 36 UTF-16 units: ${wanted.name}`);
    const twin = known.get(wanted.partitionUuid);
    if (twin !== undefined) {
      throw new UserError(
        'DUPLICATE_PARTITION_UUID',
        `partition ${twin} of the base image already has the UUID ${wanted.partitionUuid} of "${wanted.name}"`,
        'The base image seems to be a composed one: give the vendor image itself.',
      );
    }
    known.set(wanted.partitionUuid, free[index]!);
    const start = alignUp(position, alignment);
    const size = alignUp(wanted.size, sectorSize);
    position = start + size;
    return {
      number: free[index]!,
      start,
      size,
      type: wanted.type ?? LINUX_FILESYSTEM.gpt,
      partitionUuid: wanted.partitionUuid,
      ...(wanted.name ? { name: wanted.name } : {}),
      attributes: wanted.attributes ?? 0n,
    };
  });
  const entries = alignUp(slots * entrySize, sectorSize);
  const backupSize = entries + sectorSize;
  const size = Math.max(alignUp(position + backupSize, alignment), wholeSectors(deviceSize, sectorSize));
  const usableEnd = size - backupSize;
  const backup = [
    { start: usableEnd, end: usableEnd + entries },
    { start: usableEnd + entries, end: size },
  ];
  return {
    table: {
      ...table,
      partitions: inNumberOrder([...table.partitions, ...added]),
      usable: { start: table.usable.start, end: usableEnd },
      metadata: { primary: table.metadata.primary, backup },
    },
    deviceSize: size,
    added,
    stale: table.metadata.backup.flatMap((range) => subtract(range, backup)),
  };
}

function appendToMbr(
  table: PartitionTable,
  deviceSize: number,
  news: readonly NewPartition[],
  alignment: number,
  first: number,
  after: number,
): AppendedPartitions {
  const { sectorSize, diskId } = table;
  const used = new Set(table.partitions.map(({ number }) => number));
  const free = [1, 2, 3, 4].filter((number) => !used.has(number));
  const extended = table.partitions.find(({ type }) => isExtended(type));
  const logical = free.length < news.length;
  const isLast = extended !== undefined && table.partitions.every((partition) => endOf(partition) <= endOf(extended));
  if (logical && !isLast && (extended !== undefined || free.length === 0)) throw mbrFull(table, news.length, extended);

  const describe = (number: number, start: number, size: number, wanted: Omit<NewPartition, 'size'>): Partition => ({
    number,
    start,
    size,
    type: wanted.type ?? LINUX_FILESYSTEM.mbr,
    partitionUuid: mbrPartitionUuid(diskId, number),
    attributes: (wanted.attributes ?? 0n) & 0x80n,
  });
  // A logical partition is headed by its record, one alignment before it, as sfdisk does; the first record of all is
  // where the extended partition starts.
  const logicals = table.partitions.filter(({ number }) => number > 4);
  let position = logical && extended ? Math.max(after, extended.start, ...logicals.map(endOf)) : first;
  const chainStart = logical ? (extended?.start ?? alignUp(position, alignment)) : 0;
  const chain: ByteRange[] = [];
  let number = Math.max(4, ...table.partitions.map((partition) => partition.number));
  const added = news.map((wanted, index): Partition => {
    const size = alignUp(wanted.size, sectorSize);
    let start = alignUp(position, alignment);
    if (logical) {
      const isFirst = logicals.length === 0 && index === 0;
      const record = isFirst ? chainStart : start;
      start = isFirst ? alignUp(Math.max(chainStart + sectorSize, position), alignment) : record + alignment;
      chain.push({ start: record, end: record + sectorSize });
    }
    position = start + size;
    return describe(logical ? ++number : free[index]!, start, size, wanted);
  });

  const kept = table.partitions.map((partition) =>
    logical && partition === extended
      ? { ...partition, size: Math.max(partition.size, position - partition.start) }
      : partition,
  );
  if (logical && !extended) {
    kept.push(describe(free[0]!, chainStart, position - chainStart, { name: '', partitionUuid: '', type: '0f' }));
  }
  const limit = MBR_SECTORS * sectorSize;
  if (position > limit) {
    throw new UserError(
      'MBR_TOO_LARGE',
      `the new partitions end at byte ${position}, an MBR with ${sectorSize}-byte sectors reaches to ${limit}`,
      'Use a base image with a GPT, or make the store smaller.',
    );
  }
  const size = Math.max(alignUp(position, alignment), wholeSectors(deviceSize, sectorSize));
  const primary = table.metadata.primary.filter(({ start }) => !chain.some((record) => record.start === start));
  return {
    table: {
      ...table,
      partitions: inNumberOrder([...kept, ...added]),
      usable: { start: table.usable.start, end: Math.min(size, limit) },
      metadata: { primary: [...primary, ...chain], backup: [] },
    },
    deviceSize: size,
    added,
    stale: [],
  };
}

function mbrFull(table: PartitionTable, wanted: number, extended: Partition | undefined): UserError {
  const primaries = table.partitions.filter(({ number }) => number <= 4);
  const last = [...table.partitions].sort((a, b) => endOf(b) - endOf(a))[0]!;
  const found = extended
    ? `its extended partition ${extended.number} ends at byte ${endOf(extended)}, before partition ${last.number} does (${endOf(last)})`
    : 'none of them is an extended one';
  return new UserError(
    'MBR_FULL',
    `the MBR has ${primaries.length} of 4 primary partitions in use and ${found}: ${wanted} more do not fit`,
    `What would work: a base image with a GPT (wic: "bootloader --ptable gpt"), one with ${wanted} free primary entries, one with three primary partitions or fewer and no extended one, or one whose extended partition is last on the disk.`,
  );
}

function inNumberOrder(partitions: readonly Partition[]): Partition[] {
  return [...partitions].sort((a, b) => a.number - b.number);
}

function wholeSectors(size: number, sectorSize: number): number {
  return Math.ceil(size / sectorSize) * sectorSize;
}

/** What of `range` none of `others` covers. */
function subtract(range: ByteRange, others: readonly ByteRange[]): ByteRange[] {
  return others.reduce<ByteRange[]>(
    (rest, other) =>
      rest.flatMap(({ start, end }) =>
        [
          { start, end: Math.min(end, other.start) },
          { start: Math.max(start, other.end), end },
        ].filter((part) => part.start < part.end),
      ),
    [range],
  );
}

/** Default type of a partition with files for Linux, in the table's own terms. */
export function linuxFilesystemType(table: Pick<PartitionTable, 'type'>): string {
  return LINUX_FILESYSTEM[table.type];
}

export function isEfiSystem(partition: Partition): boolean {
  return partition.type === EFI_SYSTEM.gpt || partition.type === EFI_SYSTEM.mbr;
}

/**
 * End of the last byte that is not zero behind the last partition and before the backup GPT, or the end of the last
 * partition. Some vendors keep raw data there; a new partition must start behind it.
 */
export async function findDataEnd(reader: RandomReader, table: PartitionTable): Promise<number> {
  const contents = table.partitions.filter(({ type }) => table.type === 'gpt' || !isExtended(type));
  const lastEnd = Math.max(
    table.usable.start,
    ...[...contents.map(endOf), ...table.metadata.primary.map(({ end }) => end)],
  );
  const limit = Math.min(reader.size, ...table.metadata.backup.map(({ start }) => start));
  const nothing = Buffer.alloc(MiB);
  for (let end = limit; end > lastEnd;) {
    const start = Math.max(lastEnd, end - MiB);
    const bytes = await reader.read(start, end - start);
    end = start;
    if (nothing.subarray(0, bytes.length).equals(bytes)) continue; // a comparison by the processor, not byte for byte here
    for (let index = bytes.length - 1; ; index--) if (bytes[index] !== 0) return start + index + 1;
  }
  return lastEnd;
}
