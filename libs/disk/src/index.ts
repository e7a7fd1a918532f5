export { androidSparse, planAndroidSparse, sparsePartLimit, type SparsePart } from './android-sparse.ts';
export {
  appendPartitions,
  findDataEnd,
  isEfiSystem,
  linuxFilesystemType,
  type AppendedPartitions,
  type AppendOptions,
  type NewPartition,
} from './append-partitions.ts';
export { BMAP_BLOCK, createBmap, mapBlocks, readBmap, verifyWithBmap, type Bmap, type RangeDigest } from './bmap.ts';
export {
  digestImage,
  findDifference,
  writtenMark,
  type Checkpoints,
  type DigestOptions,
  type ImageDigests,
  type WrittenMark,
} from './digest-image.ts';
export {
  decompressFile,
  decompressTo,
  openDiskImage,
  probeCompression,
  type Compression,
  type DiskImage,
  type OpenDiskImageOptions,
} from './disk-image.ts';
export { hashFile, hashParts, streamDigests, type StreamDigests } from './hash-file.ts';
export { backupSize, firstUsable, newPartitionTable, type NewTable } from './new-partition-table.ts';
export { readPartitionTable } from './partition-table.ts';
export { serializePartitionTable } from './partition-patches.ts';
export { EFI_SYSTEM, isExtended, LINUX_FILESYSTEM, ROOT_PARTITION_TYPES } from './partition-type.ts';
export { cloneOrCopyFile, copySparse, HOLE_BLOCK, type CopyOptions, type CopySource } from './sparse-file.ts';
export { isUuid, partitionIdentities, uuidFrom, type PartitionIdentity } from './uuid.ts';
