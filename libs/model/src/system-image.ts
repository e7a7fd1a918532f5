import type { ByteRange, RandomReader } from './random-access.ts';
import type { Problem } from './user-error.ts';

export type PartitionTableType = 'gpt' | 'mbr';

/** One partition. All numbers in bytes from the start of the device. */
export interface Partition {
  /** 1-based number as the kernel counts it (`sda1`; logical MBR partitions from 5). */
  readonly number: number;
  readonly start: number;
  readonly size: number;
  /** GPT: type GUID in lower case; MBR: type byte as two hex digits. */
  readonly type: string;
  /** GPT: partition GUID in lower case; MBR: `<disk signature>-<number>`, as Linux's PARTUUID. */
  readonly partitionUuid: string;
  /** GPT partition name; MBR has none. */
  readonly name?: string;
  /** GPT attribute bits, or bit 7 of the MBR status byte (bootable). */
  readonly attributes: bigint;
}

export interface PartitionTable {
  readonly type: PartitionTableType;
  readonly sectorSize: 512 | 4096;
  /** GPT disk GUID in lower case, or the MBR disk signature as eight hex digits. */
  readonly diskId: string;
  /** In the order of their numbers. An MBR's extended partition is one of them (types `05`, `0f`, `85`). */
  readonly partitions: readonly Partition[];
  /** Where partitions may lie: GPT's first to last usable sector; an MBR's second sector to the end of the device. */
  readonly usable: ByteRange;
  /** Entries the table has room for: GPT's entry count; 4 for MBR, whose logical partitions are a chain. */
  readonly slots: number;
  /** Bytes of one entry: a multiple of 128 for GPT, 16 for MBR. */
  readonly entrySize: number;
  /** Bytes that the table itself occupies: sector 0, headers, entries and EBRs; and GPT's copies at the end. */
  readonly metadata: { readonly primary: readonly ByteRange[]; readonly backup: readonly ByteRange[] };
  /** Faults that did not keep the table from being read, as a backup GPT that is gone. */
  readonly warnings: readonly Problem[];
}

/** One device of a machine. Every byte outside `table` is the vendor's and is kept. */
export interface BlockDevice {
  readonly name: string;
  readonly table: PartitionTable;
  /** The whole device, lazily. */
  readonly content: RandomReader;
}

/** A machine's storage as the vendor ships it. Opening one costs nothing: content is read when asked for. */
export interface SystemImage {
  readonly devices: readonly BlockDevice[];
}
