export * from './zip/read-zip.ts';
export * from './tar/index.ts';
export * from './rootfs/index.ts';
export * from './ext4/index.ts';
export { openFat, type FatEntry, type FatReader } from './fat/fat-reader.ts';
export { planFat, type FatNode, type FatOptions, type FatPlan } from './fat/fat-writer.ts';
