import { crc32 } from 'node:zlib';
import { readGuid } from './uuid.ts';
import type { ByteRange, Partition, RandomReader } from '@boxship/model';

export type SectorSize = 512 | 4096;

/** The header of a GPT (UEFI 2.10, 5.3.2, table 5-5). Positions in sectors. */
export interface GptHeader {
  /** The whole sector that holds it. */
  readonly sector: Buffer;
  /** Bytes that the header's own checksum covers: 92 or more. */
  readonly size: number;
  readonly own: number;
  readonly alternate: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly diskId: string;
  readonly entriesStart: number;
  readonly slots: number;
  readonly entrySize: number;
}

/** One of the two copies: header and entries, both with a checksum that is right. */
export interface GptCopy {
  readonly header: GptHeader;
  /** `slots * entrySize` bytes. */
  readonly entries: Buffer;
  readonly partitions: readonly Partition[];
}

/** Why a copy cannot be used. `present` tells that the signature was there. */
export interface GptFault {
  readonly fault: string;
  readonly present: boolean;
}

export const SIGNATURE = 'EFI PART';
/** Header size, own LBA and the rest up to the CRC of the entries: 92 bytes (UEFI 2.10, table 5-5). */
const MINIMAL_HEADER = 92;
/** Real tables have 4 to 512 entries; the kernel takes any number. Enough to refuse garbage that has a right CRC. */
const MAX_ENTRIES_BYTES = 4 * 1024 * 1024;

export function isFault(copy: GptCopy | GptFault): copy is GptFault {
  return 'fault' in copy;
}

/** The copy whose header is in sector `lba`, or what is wrong with it. */
export async function readGptCopy(
  reader: RandomReader,
  sectorSize: SectorSize,
  lba: number,
): Promise<GptCopy | GptFault> {
  if (lba < 1 || (lba + 1) * sectorSize > reader.size) {
    return {
      fault: `its header would be at byte ${lba * sectorSize}, the image ends at ${reader.size}`,
      present: false,
    };
  }
  const sector = Buffer.from(await reader.read(lba * sectorSize, sectorSize));
  if (sector.toString('latin1', 0, 8) !== SIGNATURE) {
    return { fault: `no "EFI PART" at byte ${lba * sectorSize}`, present: false };
  }
  const fault = (text: string): GptFault => ({ fault: text, present: true });
  const size = sector.readUInt32LE(12);
  if (size < MINIMAL_HEADER || size > sectorSize) return fault(`header size ${size} is not in 92..${sectorSize}`);
  const stored = sector.readUInt32LE(16);
  const computed = headerChecksum(sector, size);
  if (stored !== computed) return fault(`header checksum is ${hex32(stored)}, its bytes give ${hex32(computed)}`);
  const header: GptHeader = {
    sector,
    size,
    own: lbaAt(sector, 24),
    alternate: lbaAt(sector, 32),
    firstUsable: lbaAt(sector, 40),
    lastUsable: lbaAt(sector, 48),
    diskId: readGuid(sector, 56),
    entriesStart: lbaAt(sector, 72),
    slots: sector.readUInt32LE(80),
    entrySize: sector.readUInt32LE(84),
  };
  if (header.own !== lba) return fault(`header in sector ${lba} says that it is in sector ${header.own}`);
  if (header.entrySize < 128 || (header.entrySize & (header.entrySize - 1)) !== 0) {
    return fault(`entry size ${header.entrySize} is not 128 times a power of two`);
  }
  const length = header.slots * header.entrySize;
  if (header.slots < 1 || length > MAX_ENTRIES_BYTES) return fault(`${header.slots} entries is not a sane number`);
  const start = header.entriesStart * sectorSize;
  if (header.entriesStart < 2 || start + length > reader.size) {
    return fault(`entries would be at bytes ${start}..${start + length}, the image ends at ${reader.size}`);
  }
  if (header.lastUsable < header.firstUsable - 1) {
    return fault(`usable sectors ${header.firstUsable}..${header.lastUsable} run backwards`);
  }
  const entries = Buffer.from(await reader.read(start, length));
  const entriesStored = sector.readUInt32LE(88);
  const entriesComputed = crc32(entries);
  if (entriesStored !== entriesComputed) {
    return fault(`entries checksum is ${hex32(entriesStored)}, their bytes give ${hex32(entriesComputed)}`);
  }
  return { header, entries, partitions: readEntries(entries, header, sectorSize) };
}

/** CRC-32 of the first `size` bytes with the checksum's own field taken as zero. */
export function headerChecksum(sector: Buffer, size: number): number {
  const copy = Buffer.from(sector.subarray(0, size));
  copy.writeUInt32LE(0, 16);
  return crc32(copy);
}

function readEntries(entries: Buffer, { slots, entrySize }: GptHeader, sectorSize: number): Partition[] {
  const partitions: Partition[] = [];
  for (let slot = 0; slot < slots; slot++) {
    const entry = entries.subarray(slot * entrySize, (slot + 1) * entrySize);
    const partition = readEntry(entry, slot + 1, sectorSize);
    if (partition) partitions.push(partition);
  }
  return partitions;
}

/** One entry (UEFI 2.10, table 5-6), or nothing when its type says that it is unused. */
export function readEntry(entry: Buffer, number: number, sectorSize: number): Partition | undefined {
  if (entry.subarray(0, 16).every((byte) => byte === 0)) return undefined;
  const first = lbaAt(entry, 32);
  const last = lbaAt(entry, 40);
  const name = entry.toString('utf16le', 56, 128).replace(/\0[^]*$/, '');
  return {
    number,
    start: first * sectorSize,
    size: (last - first + 1) * sectorSize,
    type: readGuid(entry, 0),
    partitionUuid: readGuid(entry, 16),
    ...(name ? { name } : {}),
    attributes: entry.readBigUInt64LE(48),
  };
}

/** Bytes of a copy: header and entries, whole sectors. */
export function copyRanges(headerLba: number, entriesLba: number, length: number, sectorSize: number): ByteRange[] {
  const sectors = Math.ceil(length / sectorSize);
  return [
    { start: headerLba * sectorSize, end: (headerLba + 1) * sectorSize },
    { start: entriesLba * sectorSize, end: (entriesLba + sectors) * sectorSize },
  ].sort((a, b) => a.start - b.start);
}

/** A sector number; what does not fit a double exactly is beyond any device, and stays beyond it. */
function lbaAt(bytes: Buffer, offset: number): number {
  const value = bytes.readBigUInt64LE(offset);
  return value > 0xffff_ffff_ffffn ? 0xffff_ffff_ffff : Number(value);
}

export function hex32(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`;
}
