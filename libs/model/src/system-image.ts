import type { RandomReader } from './random-access.ts';

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
  /** In the order of their numbers. */
  readonly partitions: readonly Partition[];
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
