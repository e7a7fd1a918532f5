import type { Cache, Progress } from '@boxship/host';
import type { Bmap } from '@boxship/disk';
import type { Edit, EditOptions, RootfsReader } from '@boxship/filesystem';
import type { BlockDevice, Digest, Problem, RootfsSelector, SystemImage, TreeEntry } from '@boxship/model';
import type { Rootfs } from './find-rootfs.ts';
import type { InstallerFacts } from './tezi/parts-of-disk.ts';
import type { TeziImage } from './tezi/tezi-image.ts';

/** A device of a base image, whose plain bytes are a file. */
export interface BaseDevice extends BlockDevice {
  /** File with the device's bytes, for copies that share blocks; never to be written. */
  readonly path: string;
  /** The vendor's block map, when one lies beside the file: its unmapped blocks need not be kept. */
  readonly bmap?: Bmap;
}

/** A file of the vendor that a base image was read from. */
export interface BaseSourceFile {
  readonly path: string;
  readonly size: number;
  /** Of the file as it was given; read at the first call, when it is not known yet. */
  digest(): Promise<Digest>;
}

export interface FindOptions {
  /** What the product file or the recipe says. */
  readonly selector?: RootfsSelector;
  /** Architecture in OCI's words: `amd64`, `arm64`. */
  readonly architecture?: string;
}

/** The root file system of a base image. */
export interface BaseRootfs {
  readonly files: RootfsReader;
  /** Number of its partition, from 1. */
  readonly partition: number;
  /** What adding `entries` would change, and everything that would be refused. Errors: EDIT_CONFLICT and others. */
  planEdit(entries: readonly TreeEntry[], options: EditOptions): Promise<readonly Edit[]>;
  /** Where its bytes are, for a base that is the image of a disk. */
  readonly onDisk?: Rootfs;
}

/** A base image that is open. Its content is readable until `close` (`Symbol.asyncDispose`). */
export interface BaseImage extends SystemImage, AsyncDisposable {
  /** The devices whose bytes the vendor gives; none when it gives parts that an installer puts on a device. */
  readonly devices: readonly BaseDevice[];
  /** Numbers of the products that the vendor made it for, as the catalogue has them; absent when it says nothing of that. */
  readonly productIds?: readonly string[];
  /** Present when the vendor gives parts for Toradex Easy Installer. */
  readonly tezi?: TeziImage;
  readonly sources: readonly BaseSourceFile[];
  /** Faults that did not keep the image from being read, for the plan. */
  readonly warnings: readonly Problem[];
  /** Errors: ROOTFS_NOT_FOUND, ROOTFS_AMBIGUOUS, ROOTFS_NOT_EXT4, those of the file system or the archive. */
  openRootfs(options: FindOptions): Promise<BaseRootfs>;
  /**
   * Of parts for an installer: the image of the disk that it would make, open until this one is closed, with the same partition as
   * its rootfs. Errors: TEZI_NO_DISK with everything that a disk cannot hold.
   */
  asDisk?(rootfs: BaseRootfs): Promise<OtherKind>;
  /**
   * Of the image of a disk: parts for an installer that makes the same partitions, read by `readParts`, open until this one is
   * closed. Errors: DISK_NO_TEZI with everything that an installer has no place for.
   */
  asParts?(rootfs: BaseRootfs, facts: InstallerFacts, readParts: BaseImageFormat['read']): Promise<OtherKind>;
  /** Checks the content against what the vendor gave beside it (block maps). `onBytes` counts. */
  verify(onBytes?: (bytes: number) => void): Promise<void>;
  close(): Promise<void>;
}

/** The image of a disk that was made of parts, or parts that were made of a disk. */
export interface OtherKind {
  readonly image: BaseImage;
  readonly rootfs: BaseRootfs;
  /** What the one does not have of the other. */
  readonly warnings: readonly string[];
}

export interface ReadOptions {
  readonly cache: Cache;
  readonly progress?: Progress;
  /** Digest of a file, from a caller that keeps them; by default the file is read. */
  readonly digestOf?: (path: string) => Promise<Digest>;
}

/** A source: reads a vendor's base image, lazily. One module each. */
export interface BaseImageFormat {
  readonly name: string;
  /** Whether the file or folder is of this format. Costs little, and throws for nothing but a file it cannot read. */
  probe(path: string): Promise<boolean>;
  /** Opens it. Errors: those of the format, each a UserError with numbers. */
  read(path: string, options: ReadOptions): Promise<BaseImage>;
}
