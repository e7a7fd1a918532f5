export {
  pushArtifact,
  type ArtifactTarget,
  type ArtifactToPush,
  type FileToPush,
  type PutOptions,
} from './artifact-target.ts';
export { ociLayoutTarget } from './oci-layout-target.ts';
export { findArtifact, findReferrers, pullFiles, type PulledArtifact, type PullOptions } from './pull-artifact.ts';
export { registryTarget } from './registry/registry-target.ts';
export { fetchArtifact, type FetchedArtifact, type FetchArtifactOptions } from './fetch-artifact.ts';
export { blobPath, BLOB_KIND, fetchBlob, hasBlob, readCachedBytes, type FetchBlobOptions } from './blob-cache.ts';
export { fetchImage, type FetchedImage, type FetchedLayer, type FetchImageOptions } from './fetch-image.ts';
export { parseImageConfig, type ImageConfig } from './image-config.ts';
export type { FoundManifest, ImageSource, ManifestOrigin, OpenBlobOptions } from './image-source.ts';
export { parseManifest, type Index, type IndexEntry, type Manifest, type ManifestKind } from './manifest.ts';
export { isIndexType, isManifestType, layerCompression, mediaTypes, type LayerCompression } from './media-type.ts';
export { writeOciLayout, type ImageToWrite, type LayerToWrite, type WrittenImage } from './oci-layout-writer.ts';
export {
  listArchivedImages,
  openLocalImages,
  parseLocalImages,
  type LocalImages,
  type OpenImagesOptions,
} from './open-image-source.ts';
export { listLocalImages, type ListedOciImage, type LocalImageList } from './list-images.ts';
export { claimPartial, leavePartial, removePartial } from './partial-blob.ts';
export { normalizePlatform, parsePlatform, platformRank, selectManifest } from './platform-matching.ts';
export { familiarName, formatReference, parseReference, type Reference } from './reference.ts';
export { resolveImage, type PinnedImage, type ResolvedImage } from './resolve-image.ts';
export { fileDownloads, type FileDownloads, type OpenFileOptions } from './registry/file-downloads.ts';
export { registrySource, type RegistryOptions } from './registry/registry-source.ts';
export { startTestRegistry, type Fault, type TestRegistry, type TestRegistryOptions } from './testing/test-registry.ts';
