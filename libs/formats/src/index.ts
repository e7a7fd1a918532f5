export type {
  BaseDevice,
  BaseImage,
  BaseImageFormat,
  BaseRootfs,
  BaseSourceFile,
  FindOptions,
  ReadOptions,
} from './base-image-format.ts';
export { baseImageFormat, baseImageFormats, probeBaseImage } from './base-images/index.ts';
export {
  findRootfs,
  type FindRootfsOptions,
  type PartitionContent,
  type PartitionProbe,
  type Rootfs,
} from './find-rootfs.ts';
export {
  copiedRanges,
  mappedRanges,
  openRawImage,
  type FrameOptions,
  type PlacedFilesystem,
  type RawImagePlan,
  type RawImageWriter,
} from './raw-artifact.ts';
export {
  digestWhileWritten,
  rawFileNames,
  rawImageName,
  writeRawFiles,
  type ArtifactFile,
  type FinishOptions,
} from './raw-files.ts';
