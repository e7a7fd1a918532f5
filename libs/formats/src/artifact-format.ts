import type { ContentWriter, Edit, Ext4Plan } from '@boxship/filesystem';
import type { ProgramRoom, Progress } from '@boxship/host';
import type {
  ArtifactOptions,
  ByteRange,
  ContentSource,
  Partition,
  PartitionTableType,
  ScatterTarget,
  Tree,
  TreeEntry,
  Variant,
} from '@boxship/model';
import type { ArtifactExchange } from './artifact-exchange.ts';
import type { BaseImage, BaseRootfs } from './base-image-format.ts';
import type { UpdateSigner } from './cms/certificate.ts';
import type { ArtifactFile } from './artifact-file.ts';
import type { DiskImageForm } from './disk-image-form.ts';

/** Files for the vendor's rootfs, and why each is there. */
export interface AddedFiles {
  readonly entries: readonly TreeEntry[];
  readonly listing: readonly { readonly path: string; readonly why: string }[];
}

/** What has a UUID of its own: the partitions of ours in a GPT, and their file systems. */
export type OwnIdentity = 'store-partition' | 'data-partition' | 'store' | 'data';

/** What a format may write: the vendor's base with our partitions. */
export interface ArtifactRelease {
  readonly variant: Variant;
  readonly base: BaseImage;
  readonly rootfs: BaseRootfs;
  /** The file systems of our partitions, planned to the byte. */
  readonly store: Ext4Plan;
  /** Place of the signature in the store, bytes from its start. Written last, and no part of any payload. */
  readonly signature: ByteRange;
  readonly data: Ext4Plan;
  /** What is in the data file system as shipped, for formats whose installer makes that file system. */
  readonly dataTree: Tree;
  /** What is in the store, for formats that bring files and no file system. */
  readonly storeTree: Tree;
  readonly identity: (role: OwnIdentity) => string;
  /** Where a file lies on this host that an option names, as the product file has it. */
  readonly productFile: (path: string) => string;
  /**
   * What the rootfs needs so that the store plugs in, on a disk whose partitions are found by name (`gpt`) or by the UUIDs of
   * their file systems (`mbr`).
   */
  readonly socket: (foundAs: PartitionTableType) => AddedFiles;
}

export interface PlannedPartition extends Omit<Partition, 'attributes' | 'start' | 'partitionUuid'> {
  /** Bytes from the start of the device; absent where an installer decides. */
  readonly start?: number;
  readonly partitionUuid?: string;
  readonly role: 'vendor' | 'rootfs' | 'store' | 'data';
}

export interface DeviceLayout {
  /** Bytes of the device; where an installer decides, those that it needs at least. */
  readonly size: number;
  readonly partitions: readonly PlannedPartition[];
}

export interface RootfsChange {
  readonly path: string;
  readonly action: 'add' | 'replace';
  readonly why: string;
}

/** What a format will write, to the byte, before the first one is written. */
export interface PlannedArtifact {
  /** Names of the files, without signatures. */
  readonly files: readonly string[];
  readonly table: { readonly type: PartitionTableType; readonly before: DeviceLayout; readonly after: DeviceLayout };
  /** The table only names parts: whoever takes them makes the disk. */
  readonly isNominal?: true;
  /** What is added to or changed in the vendor's rootfs. */
  readonly changes: readonly RootfsChange[];
  readonly warnings: readonly string[];
  /** Bytes that go to the disk at most. */
  readonly bytesToWrite: number;
  /** Bytes of the vendor that are read: with those of the sources, what progress counts. */
  readonly vendorBytes: number;
  /** Everything whose bytes the sink wants. */
  readonly sources: readonly ContentSource[];
  /** Begins to write into `folder`, which is there. */
  open(folder: string, options?: OpenOptions): Promise<ArtifactSink>;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** Told at once of what fails beside the calls, so that others can be stopped; `settle` fails with the same. */
  readonly onFailure?: (error: unknown) => void;
  /** Artifacts that are written at the same time, this one included; default: 1. They share memory. */
  readonly imagesAtOnce?: number | undefined;
}

export interface SinkOptions {
  readonly progress: Progress;
  /** For formats whose signature is inside. */
  readonly signer: UpdateSigner;
  /** Of all that the run makes side by side. */
  readonly room: ProgramRoom;
  readonly signal?: AbortSignal;
}

/** An artifact while it is written: its frame, contents as they stream by, then `finish`. */
export interface ArtifactSink {
  /** Everything but the contents of files in our partitions. `onBytes` counts the vendor's bytes. */
  writeFrame(onBytes: (bytes: number) => void): Promise<void>;
  /** Who takes the stream of this source: called before the first byte of it. */
  contentWriters(source: ContentSource): readonly ContentWriter[];
  /** The same, for a source that scatters its bytes itself. Ask for one of the two. */
  scatterTargets(source: ContentSource): readonly ScatterTarget[];
  /** After the frame and all contents: brings everything to the disk. */
  settle(): Promise<void>;
  /** Makes what is made of the whole: compressed forms, block maps. Returns the files as they are in the folder. */
  finish(options: SinkOptions): Promise<readonly ArtifactFile[]>;
  /** Closes what is open; the folder is thrown away. */
  abandon(): Promise<void>;
}

/** What the product file has to do with a format. */
export interface FormatWords {
  readonly name: string;
  /** What a person wrote for it in `artifacts`, its shape checked, with every default filled in. */
  readOptions(written: Readonly<Record<string, unknown>>): ArtifactOptions;
  /** Whether the key of the product and its certificate can sign such an artifact. Errors: UNSUPPORTED_KEY, BAD_CERTIFICATE. */
  checkKey?(key: Omit<UpdateSigner, 'sign'>): void;
  /** Options that name a file beside the product file; the variant has the digest of each in `<option>Digest`. */
  readonly fileOptions?: readonly string[];
  /** Two entries of `artifacts` with equal words would be one file. */
  describe(options: ArtifactOptions): string;
  /** Host programs whose version can change bytes. */
  programs(options: ArtifactOptions): readonly string[];
  /** How one half of such an artifact is exchanged; absent where it holds one half alone. */
  readonly exchange?: ArtifactExchange;
}

/** A format that is laid out by itself. One module each. */
export interface PlannedFormat extends FormatWords {
  /** Plans all entries of `artifacts` that have this format; nothing is written. Errors: those of the format, with numbers. */
  plan(release: ArtifactRelease, wanted: readonly ArtifactOptions[]): Promise<PlannedArtifact>;
}

/** A sink: one read of the data feeds many. Signatures come last, from others. One module each. */
export type ArtifactFormat = PlannedFormat | DiskImageForm;

/** What of an edit the plan shows: a folder that is there is none, one that is made on the way is. */
export function changesOf(edits: readonly Edit[], { listing }: Pick<AddedFiles, 'listing'>): readonly RootfsChange[] {
  const reasons = new Map(listing.map(({ path, why }) => [path, why]));
  return edits.flatMap(({ entry, path, action }) =>
    action === 'keep' ? [] : [{ path: `/${path}`, action, why: reasons.get(entry.path) ?? 'a folder on the way' }],
  );
}
