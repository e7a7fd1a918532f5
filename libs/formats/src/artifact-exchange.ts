import type { Ext4Plan, RootfsReader } from '@boxship/filesystem';
import type { ArtifactOptions, PartitionTableType, RandomReader } from '@boxship/model';
import type { ArtifactFormat, ArtifactRelease, PlannedArtifact } from './artifact-format.ts';
import type { ArtifactFile } from './artifact-file.ts';
import type { BaseImage } from './base-image-format.ts';

/** What of ours is in an artifact that was made before. */
export interface OwnParts {
  /** The file system of the store partition. */
  readonly store: RandomReader;
  /** How a device that is made of the artifact finds our partitions. */
  readonly foundAs: PartitionTableType;
  /** The device socket, where it is not in the rootfs but laid over it by an installer. */
  readonly socket?: RootfsReader;
}

/** Other apps for an artifact that was made before. */
export interface AppsUpdate extends Pick<ArtifactRelease, 'variant' | 'rootfs' | 'signature'> {
  /** The artifact, as its release names it. */
  readonly file: Pick<ArtifactFile, 'size' | 'payload'>;
  /** The artifact. */
  readonly from: BaseImage;
  /** As large as the store partition of the artifact. */
  readonly store: Ext4Plan;
}

/** Another base under the apps of an artifact that was made before. */
export interface Rebase extends Pick<ArtifactRelease, 'variant' | 'base' | 'rootfs' | 'identity' | 'socket'> {
  /** The artifact, as its release names it. */
  readonly file: Pick<ArtifactFile, 'size' | 'payload'>;
  /** The artifact. */
  readonly from: BaseImage;
}

/** One entry of `artifacts` and its format. */
export interface WantedArtifact {
  readonly format: ArtifactFormat;
  readonly options: ArtifactOptions;
}

/** Exchanges one half of an artifact that was made before, and keeps the other byte for byte. */
export interface ArtifactExchange {
  /** Errors: NO_STORE, OWN_PARTITION_AMBIGUOUS. */
  findOwn(artifact: BaseImage): Promise<OwnParts>;
  /** The store partition is replaced; everything else stays. */
  planUpdate(update: AppsUpdate, wanted: readonly WantedArtifact[]): Promise<PlannedArtifact>;
  /** The base is replaced; store and data partition stay. Errors: those of the format, as for a first artifact. */
  planRebase(rebase: Rebase, wanted: readonly WantedArtifact[]): Promise<PlannedArtifact>;
}
