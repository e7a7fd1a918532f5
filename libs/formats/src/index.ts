export type { BaseDevice, BaseImage, BaseImageFormat, BaseSourceFile, ReadOptions } from './base-image-format.ts';
export { baseImageFormat, baseImageFormats, probeBaseImage } from './base-images/index.ts';
export {
  findRootfs,
  type FindRootfsOptions,
  type PartitionContent,
  type PartitionProbe,
  type Rootfs,
} from './find-rootfs.ts';
