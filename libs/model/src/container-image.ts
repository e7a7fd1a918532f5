import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';
import type { ContentSource, TreeEntry } from './tree.ts';

/** OCI image-spec descriptor.md: what, how long, which bytes. `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** What one image layer holds, known without reading it again (kept in the cache by `lock`). */
export interface LayerInventory {
  /**
   * Entries in the order of the tar stream, names as they are there: whiteouts (`.wh.X`, `.wh..wh..opq`) are ordinary
   * entries, parents may be missing. A path comes once: of duplicates the last one is kept, at its own place.
   * Regular files' `content` points into `ImageLayer.content`.
   */
  entries(): Iterable<TreeEntry>;
  readonly entryCount: number;
  /** Character and block devices among the entries. */
  readonly deviceCount: number;
  /** Sum of the regular files' sizes, hard links once: docker's `size` of a layer. */
  readonly fileBytes: number;
  /** True when the tar holds a cleaned name twice (docker's tar-split refuses such layers). */
  readonly hasDuplicates: boolean;
  /** What else is known without a walk; absent where nobody looked, or some of it would be long. */
  readonly traits?: LayerTraits | undefined;
  /** gzip of tar-split's JSON lines (vbatts/tar-split); the same bytes on every host. */
  readonly tarSplit: ContentSource;
}

/** What the entries of a layer have in common. */
export interface LayerTraits {
  /** Users and groups that own something in it, ascending. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** There is an entry of the root directory, `''`. */
  readonly hasRoot: boolean;
  /** Some name begins with `.wh.`. */
  readonly hasWhiteouts: boolean;
  /** Every entry comes after one of the directory that it lies in. */
  readonly parentsFirst: boolean;
}

/** One layer of an image: its compressed blob, its uncompressed tar, its inventory. */
export interface ImageLayer {
  readonly blob: Descriptor;
  /** Digest of the *uncompressed* tar (image-spec config.md `rootfs.diff_ids`). */
  readonly diffId: Digest;
  /** The uncompressed tar. Blob digest and diff_id are both verified while it is read. */
  readonly content: ContentSource;
  /** The blob as it was served, compressed or not; its digest is verified while it is read. */
  readonly blobContent: ContentSource;
  readonly inventory: LayerInventory;
}

/** An image for one platform, every part verified and at hand. */
export interface ContainerImage {
  /** Normalised reference with its tag: `docker.io/library/busybox:1.36`. */
  readonly reference: string;
  readonly platform: Platform;
  /** Digest of the index that the reference named, when it named one. */
  readonly index?: Digest;
  /** Bytes of that index, as they were served. */
  readonly indexBytes?: Uint8Array;
  readonly manifest: Descriptor;
  /** True when no registry ever served this manifest (made from a `docker save` archive): its digest names nothing elsewhere. */
  readonly manifestSynthesized?: boolean;
  /** Bytes of the manifest, as they were served. */
  readonly manifestBytes: Uint8Array;
  readonly config: Descriptor;
  /** Bytes of the image configuration; their digest is docker's image id. */
  readonly configBytes: Uint8Array;
  /** Bottom layer first. */
  readonly layers: readonly ImageLayer[];
}
