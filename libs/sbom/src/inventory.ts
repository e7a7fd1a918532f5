import type { Digest } from '@boxship/model';
import type { InstalledSoftware } from './software-package.ts';

/** What a bill of materials speaks of. */
export interface Inventory {
  /** What was made: `acme-gateway-1.4.0-qemux86-64-pro`. */
  readonly name: string;
  readonly version: string;
  /** Version of Boxship. */
  readonly tool: string;
  /** Seconds since 1970: the time of the newest input, not of the run. */
  readonly epoch: number;
  /** The files that were made. */
  readonly files: readonly { readonly name: string; readonly digest: Digest }[];
  readonly parts: readonly InventoryPart[];
}

/** One of the things that a release is made of. */
export interface InventoryPart {
  readonly kind: 'base' | 'container';
  /** Reference of a container image; how a base image is called. */
  readonly name: string;
  readonly version?: string;
  /** Of a container image the digest of its manifest; of a base image that of the file. */
  readonly digest: Digest;
  /** purl-spec, types/oci-definition: of a container image. */
  readonly purl?: string;
  /** Absent: it was not looked at. */
  readonly software?: InstalledSoftware;
}
