import { crc32 } from 'node:zlib';
import type { Partition, PartitionTable, PartitionTableType, Patch, RandomReader } from '@boxship/model';
import { headerChecksum, SIGNATURE } from './gpt.ts';
import { DISK_ID_AT, ENTRY_SIZE } from './mbr.ts';
import { MBR_SECTORS } from './partition-table.ts';
import { serializePartitionTable } from './partition-patches.ts';
import { writeGuid } from './uuid.ts';

const SECTOR = 512;
const SLOTS = 128;
/** UEFI 2.10, table 5-5: header of 92 bytes, 128 entries of 128 bytes from sector 2 on. */
const GPT_ENTRY = 128;
const FIRST_USABLE = 34;

export interface NewTable {
  readonly type: PartitionTableType;
  /** GPT disk GUID, or the MBR disk signature as eight hex digits. */
  readonly diskId: string;
  /** With numbers from 1 on; of an MBR four at most, all primary. */
  readonly partitions: readonly Partition[];
}

/** The first byte behind a new table where a partition may start. */
export function firstUsable(type: PartitionTableType): number {
  return type === 'gpt' ? FIRST_USABLE * SECTOR : SECTOR;
}

/** Bytes at the end of the device that a new table needs for itself. */
export function backupSize(type: PartitionTableType): number {
  return type === 'gpt' ? (FIRST_USABLE - 1) * SECTOR : 0;
}

/** The bytes of a table for a device that has none yet, with sectors of 512 bytes. */
export async function newPartitionTable(
  { type, diskId, partitions }: NewTable,
  deviceSize: number,
): Promise<readonly Patch[]> {
  const blank = type === 'gpt' ? emptyGpt(diskId, deviceSize) : emptyMbr(diskId);
  const original: RandomReader = {
    size: deviceSize,
    async read(position, length) {
      const bytes = Buffer.alloc(length);
      for (const patch of blank) {
        const from = Math.max(position, patch.position);
        const to = Math.min(position + length, patch.position + patch.bytes.length);
        if (to > from) bytes.set(patch.bytes.subarray(from - patch.position, to - patch.position), from - position);
      }
      return bytes;
    },
  };
  const table: PartitionTable = {
    type,
    sectorSize: SECTOR,
    diskId,
    partitions,
    usable: {
      start: firstUsable(type),
      end: type === 'gpt' ? deviceSize - backupSize(type) : Math.min(deviceSize, MBR_SECTORS * SECTOR),
    },
    slots: type === 'gpt' ? SLOTS : 4,
    entrySize: type === 'gpt' ? GPT_ENTRY : ENTRY_SIZE,
    metadata: { primary: [], backup: [] },
    warnings: [],
  };
  return await serializePartitionTable(table, deviceSize, original);
}

function emptyMbr(diskId: string): Patch[] {
  const sector = Buffer.alloc(SECTOR);
  sector.writeUInt32LE(parseInt(diskId, 16), DISK_ID_AT);
  sector.writeUInt16LE(0xaa55, 510);
  return [{ position: 0, bytes: sector }];
}

function emptyGpt(diskId: string, deviceSize: number): Patch[] {
  const lastLba = deviceSize / SECTOR - 1;
  const entries = Buffer.alloc(SLOTS * GPT_ENTRY);
  const header = Buffer.alloc(SECTOR);
  header.write(SIGNATURE, 0, 'latin1');
  header.writeUInt32LE(0x00010000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(BigInt(lastLba), 32);
  header.writeBigUInt64LE(BigInt(FIRST_USABLE), 40);
  header.writeBigUInt64LE(BigInt(lastLba - FIRST_USABLE + 1), 48);
  writeGuid(diskId).copy(header, 56);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(SLOTS, 80);
  header.writeUInt32LE(GPT_ENTRY, 84);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(headerChecksum(header, 92), 16);
  return [{ position: SECTOR, bytes: header }];
}
