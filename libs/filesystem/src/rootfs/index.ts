export { debugfsVersion, editExt4, type EditReport } from './edit-ext4.ts';
export { planExt4Edit, type Edit, type EditOptions } from './edit-plan.ts';
export { openExt4, type DirectoryEntry, type Ext4Reader, type FileStat } from './ext4-reader.ts';
export { probeFilesystem, type Ext4Superblock } from './ext4-superblock.ts';
export { readDeviceFacts } from './device-facts.ts';
export { parseKernelConfig, type KernelConfig } from './kernel-config.ts';
