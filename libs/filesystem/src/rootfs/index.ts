export { debugfsVersion, editExt4, type EditReport } from './edit-ext4.ts';
export { planExt4Edit, planRootfsEdit, type Edit, type EditOptions, type PlacedEntry } from './edit-plan.ts';
export { openExt4, type Ext4Reader } from './ext4-reader.ts';
export type { DirectoryEntry, FileStat, RootfsReader } from './rootfs-reader.ts';
export { MAX_ROOTFS_ENTRIES, openTarRootfs, type TarRootfsOptions } from './tar-rootfs.ts';
export { probeFilesystem, type Ext4Superblock } from './ext4-superblock.ts';
export { readDeviceFacts } from './device-facts.ts';
export { parseKernelConfig, type KernelConfig } from './kernel-config.ts';
export { readKernelCommandLines, type BootPartition } from './kernel-command-line.ts';
