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
  type AddedFiles,
  type ArtifactFormat,
  type ArtifactRelease,
  type ArtifactSink,
  type DeviceLayout,
  type OwnIdentity,
  type PlannedArtifact,
  type PlannedPartition,
  type RootfsChange,
  type SinkOptions,
} from './artifact-format.ts';
export type { AppsUpdate, ArtifactExchange, OwnParts, Rebase } from './artifact-exchange.ts';
export { findOwnPartitions, OWN_PARTITION_NAMES, type OwnRole } from './own-partitions.ts';
export type { UpdateSigner } from './cms/certificate.ts';
export { madeTogether, artifactFormat, artifactFormats, DEFAULT_ARTIFACTS, planArtifacts } from './artifacts/index.ts';
export { isRawImage } from './artifacts/raw.ts';
export { isSparseImage } from './artifacts/android-sparse.ts';
export { payloadText, type DigestedPart, type Payload, type PayloadPart } from './payload.ts';
export type { ArtifactFile } from './artifact-file.ts';
export { readOstreeSysroot, type OstreeSysroot } from './ostree-sysroot.ts';
export type { TeziFields } from './tezi/compose-image-json.ts';
export { readOwnFiles as readTeziFiles } from './tezi/own-files.ts';
export { planTorizon, type TorizonRelease } from './tezi/torizon-plan.ts';
