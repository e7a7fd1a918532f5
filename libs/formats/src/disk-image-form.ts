import type { ImageDigests } from '@boxship/disk';
import type { ArtifactOptions, ByteRange, Partition, PartitionTable, RandomReader, Variant } from '@boxship/model';
import type { ArtifactFile } from './artifact-file.ts';
import type { FormatWords, SinkOptions } from './artifact-format.ts';
import type { Payload } from './payload.ts';

/** The image of a whole disk, as far as it is known before it is written. */
export interface PlannedDiskImage {
  readonly variant: Variant;
  /** Name of the plain image, `<product>-<version>-<machine>-<variant>.img`: what is made of it is named after it. */
  readonly name: string;
  /** Bytes of the device. */
  readonly size: number;
  /** What a flasher must write, ascending; the rest may keep what the device had before. */
  readonly mapped: readonly ByteRange[];
  /** Where the partitions lie that an update can replace. */
  readonly places: Readonly<Record<'rootfs' | 'store', Pick<Partition, 'start' | 'size'>>>;
  /** The vendor's disk as it came. */
  readonly base: { readonly content: RandomReader; readonly table: PartitionTable };
}

/** The plain image, whole. */
export interface WrittenDiskImage extends PlannedDiskImage {
  readonly path: string;
  readonly digests: ImageDigests;
  /** No other form is made of it at the same time. */
  readonly isAlone: boolean;
  readonly payload?: Payload;
  /** A file beside the image, made by the first who asks for its name; `make` writes it at the path. */
  derive(name: string, make: (path: string) => Promise<Omit<ArtifactFile, 'name'>>): Promise<ArtifactFile>;
  /**
   * What several forms need and the release does not hold: made by the first who asks for that name, in a folder that is gone when
   * all forms are made. `make` must leave what others made there.
   */
  share<T>(name: string, make: (folder: string) => Promise<T>): Promise<T>;
}

/**
 * A form that the image of a disk can have: compressed, sparse, with scripts beside it. All forms are made of one plain image,
 * which is written once and is gone afterwards when no form is the image itself.
 */
export interface DiskImageForm extends FormatWords {
  /** Names of its files, without signatures. Errors: what this image cannot be given as. */
  files(image: PlannedDiskImage, options: ArtifactOptions): Promise<readonly string[]>;
  /** Bytes that it writes beside the plain image, at most; 0 where nobody can tell. */
  bytesBeside(image: PlannedDiskImage, options: ArtifactOptions): number;
  /** It is the plain image, and reads nothing of it when it is written. False when absent. */
  isImage?(options: ArtifactOptions): boolean;
  /** Makes its files out of the plain image. */
  write(image: WrittenDiskImage, options: ArtifactOptions, sink: SinkOptions): Promise<readonly ArtifactFile[]>;
}
