export {
  appendPartitions,
  findDataEnd,
  isEfiSystem,
  linuxFilesystemType,
  type AppendedPartitions,
  type AppendOptions,
  type NewPartition,
} from './append-partitions.ts';
export { readPartitionTable } from './partition-table.ts';
export { serializePartitionTable, type Patch } from './partition-patches.ts';
export { EFI_SYSTEM, isExtended, LINUX_FILESYSTEM, ROOT_PARTITION_TYPES } from './partition-type.ts';
export { BOXSHIP_NAMESPACE, isUuid, uuidFrom } from './uuid.ts';
