import { crc32 } from 'node:zlib';
import type { Partition, PartitionTable, Patch, RandomReader } from '@boxship/model';
import { PROTECTIVE, readGptCopies } from './gpt-copies.ts';
import { headerChecksum, readEntry, SIGNATURE } from './gpt.ts';
import {
  DISK_ID_AT,
  ENTRIES_AT,
  ENTRY_SIZE,
  hasBootSignature,
  isUsed,
  readMbrEntries,
  readMbrPartitions,
} from './mbr.ts';
import { isExtended } from './partition-type.ts';
import { writeGuid } from './uuid.ts';

/**
 * The bytes that make `table` the table of a device of `deviceSize` bytes that is otherwise a copy of `original`.
 * Only what differs in meaning is made anew: boot code, unknown header and entry bytes, and vendor entries stay as
 * they are. GPT: protective entry, primary and backup; MBR: sector 0 and the records of the logical partitions.
 */
export async function serializePartitionTable(
  table: PartitionTable,
  deviceSize: number,
  original: RandomReader,
): Promise<readonly Patch[]> {
  const sector0 = Buffer.from(await original.read(0, 512));
  return table.type === 'gpt'
    ? await gptPatches(table, deviceSize, original, sector0)
    : await mbrPatches(table, original, sector0);
}

async function gptPatches(
  table: PartitionTable,
  deviceSize: number,
  original: RandomReader,
  sector0: Buffer,
): Promise<Patch[]> {
  const copies = await readGptCopies(original, sector0);
  if (!copies) throw new Error('the original has no GPT');
  const { sectorSize, copy, entriesLba } = copies;
  const { slots, entrySize } = copy.header;
  const entries = Buffer.alloc(slots * entrySize);
  for (const partition of table.partitions) {
    const at = (partition.number - 1) * entrySize;
    const before = copy.entries.subarray(at, at + entrySize);
    const bytes = equalPartitions(readEntry(before, partition.number, sectorSize), partition)
      ? before
      : gptEntry(partition, entrySize, sectorSize);
    bytes.copy(entries, at);
  }
  const lastLba = deviceSize / sectorSize - 1;
  const entrySectors = Math.ceil(entries.length / sectorSize);
  const header = (own: number, alternate: number, entriesStart: number): Buffer => {
    const sector = Buffer.from(copy.header.sector);
    sector.write(SIGNATURE, 0, 'latin1');
    sector.writeBigUInt64LE(BigInt(own), 24);
    sector.writeBigUInt64LE(BigInt(alternate), 32);
    sector.writeBigUInt64LE(BigInt(table.usable.end / sectorSize - 1), 48);
    sector.writeBigUInt64LE(BigInt(entriesStart), 72);
    sector.writeUInt32LE(crc32(entries), 88);
    sector.writeUInt32LE(headerChecksum(sector, copy.header.size), 16);
    return sector;
  };
  const backupEntries = lastLba - entrySectors;
  return [
    ...protectivePatch(sector0, lastLba),
    { position: sectorSize, bytes: header(1, lastLba, entriesLba) },
    { position: entriesLba * sectorSize, bytes: entries },
    { position: backupEntries * sectorSize, bytes: entries },
    { position: lastLba * sectorSize, bytes: header(lastLba, 1, backupEntries) },
  ];
}

function equalPartitions(a: Partition | undefined, b: Partition): boolean {
  return (
    a !== undefined &&
    a.start === b.start &&
    a.size === b.size &&
    a.type === b.type &&
    a.partitionUuid === b.partitionUuid &&
    a.name === b.name &&
    a.attributes === b.attributes
  );
}

/** UEFI 2.10, table 5-6. */
function gptEntry(partition: Partition, entrySize: number, sectorSize: number): Buffer {
  const entry = Buffer.alloc(entrySize);
  writeGuid(partition.type).copy(entry, 0);
  writeGuid(partition.partitionUuid).copy(entry, 16);
  entry.writeBigUInt64LE(BigInt(partition.start / sectorSize), 32);
  entry.writeBigUInt64LE(BigInt((partition.start + partition.size) / sectorSize - 1), 40);
  entry.writeBigUInt64LE(partition.attributes, 48);
  entry.write(partition.name ?? '', 56, 72, 'utf16le');
  return entry;
}

/** Sector 0 with a protective entry of the right size (UEFI 2.10, table 5-4). A hybrid MBR stays as it is. */
function protectivePatch(sector0: Buffer, lastLba: number): Patch[] {
  const sector = Buffer.from(sector0);
  const entries = hasBootSignature(sector) ? readMbrEntries(sector) : [];
  if (entries.some((entry) => isUsed(entry) && entry.type !== PROTECTIVE)) return [];
  let index = entries.findIndex(({ type }) => type === PROTECTIVE);
  if (index < 0) {
    // Code of a boot ROM may run through these bytes: a protective entry is only made where there is nothing.
    if (sector.subarray(ENTRIES_AT, 510).some((byte) => byte !== 0)) return [];
    index = 0;
    Buffer.from([0, 0, 2, 0, PROTECTIVE, 0xff, 0xff, 0xff, 1, 0, 0, 0]).copy(sector, ENTRIES_AT);
    sector.writeUInt16LE(0xaa55, 510);
  }
  sector.writeUInt32LE(Math.min(lastLba, 0xffff_ffff), ENTRIES_AT + index * ENTRY_SIZE + 12);
  return [{ position: 0, bytes: sector }];
}

async function mbrPatches(table: PartitionTable, original: RandomReader, sector0: Buffer): Promise<Patch[]> {
  const { sectorSize } = table;
  const sector = Buffer.from(sector0);
  if (table.diskId !== sector.readUInt32LE(DISK_ID_AT).toString(16).padStart(8, '0')) {
    sector.writeUInt32LE(parseInt(table.diskId, 16), DISK_ID_AT);
  }
  for (let slot = 0; slot < 4; slot++) {
    const partition = table.partitions.find(({ number }) => number === slot + 1);
    writeMbrEntry(sector, slot, partition, 0, sectorSize);
  }
  const patches: Patch[] = [{ position: 0, bytes: sector }];

  const extended = table.partitions.find(({ type }) => isExtended(type));
  if (!extended) return patches;
  // The chain's order gives logical partitions their numbers, so the vendor's records stay as they are: new records
  // follow the last one.
  const before = await readMbrPartitions(original, sector0, sectorSize, table.diskId);
  const known = new Set(before.partitions.map(({ number }) => number));
  const heads = table.metadata.primary.slice(1).map(({ start }) => start);
  const added = table.partitions
    .filter(({ number }) => number > 4 && !known.has(number))
    .map((partition) => ({ partition, head: Math.max(...heads.filter((head) => head < partition.start)) }));
  const link = ({ partition, head }: { partition: Partition; head: number }): Partition => ({
    ...partition,
    type: '05',
    start: head,
    size: partition.start + partition.size - head,
    attributes: 0n,
  });
  const last = before.chain.at(-1)?.start;
  if (added[0] && last !== undefined && before.chain.every(({ start }) => start !== added[0]!.head)) {
    const record = Buffer.from(await original.read(last, sectorSize));
    writeMbrEntry(record, 1, link(added[0]), extended.start, sectorSize);
    patches.push({ position: last, bytes: record });
  }
  for (const [index, item] of added.entries()) {
    const isKept = before.chain.some(({ start }) => start === item.head);
    const record = isKept ? Buffer.from(await original.read(item.head, sectorSize)) : Buffer.alloc(sectorSize);
    const next = added[index + 1];
    writeMbrEntry(record, 0, item.partition, item.head, sectorSize);
    writeMbrEntry(record, 1, next && link(next), extended.start, sectorSize);
    record.writeUInt16LE(0xaa55, 510);
    patches.push({ position: item.head, bytes: record });
  }
  return patches;
}

/** Writes an entry unless the one that is there says the same, whatever its CHS fields. */
function writeMbrEntry(
  sector: Buffer,
  slot: number,
  partition: Partition | undefined,
  base: number,
  sectorSize: number,
): void {
  const at = ENTRIES_AT + slot * ENTRY_SIZE;
  const before = readMbrEntries(sector)[slot]!;
  if (!partition) {
    if (isUsed(before)) sector.fill(0, at, at + ENTRY_SIZE);
    return;
  }
  const status = Number(partition.attributes & 0x80n);
  const type = parseInt(partition.type, 16);
  const start = (partition.start - base) / sectorSize;
  const count = partition.size / sectorSize;
  if (before.status === status && before.type === type && before.start === start && before.count === count) return;
  const first = partition.start / sectorSize;
  sector[at] = status;
  sector.set(chs(first), at + 1);
  sector[at + 4] = type;
  sector.set(chs(first + count - 1), at + 5);
  sector.writeUInt32LE(start, at + 8);
  sector.writeUInt32LE(count, at + 12);
}

/** Cylinder, head, sector of a disk with 255 heads and 63 sectors; 1023/254/63 for what does not fit. */
function chs(lba: number): number[] {
  const cylinder = Math.floor(lba / (255 * 63));
  if (cylinder > 1023) return [0xfe, 0xff, 0xff];
  const head = Math.floor(lba / 63) % 255;
  const sector = (lba % 63) + 1;
  return [head, ((cylinder >> 8) << 6) | sector, cylinder & 0xff];
}
