import { createHash } from 'node:crypto';
import { UserError, type Descriptor, type Digest } from '@boxship/model';
import type { Index, Manifest, ManifestKind } from './manifest.ts';
import type { Reference } from './reference.ts';

/**
 * A place that images come from: a registry, an OCI layout, an archive. Two verbs, the same for each; nothing that they
 * give is verified unless it says so.
 */
export interface ImageSource extends AsyncDisposable {
  /** What messages call it: `oci:./images/gateway`, `registry.example.com`. */
  readonly name: string;
  /** How many blobs may be read at once with profit. */
  readonly parallel: number;
  /** The manifest or index that `reference` names; by its digest when it has one. Digest and size are verified. `as`: `image`
   *  by default. */
  find(reference: Reference, signal?: AbortSignal, as?: ManifestKind): Promise<FoundManifest>;
  /** The bytes of a blob from `options.offset` on. The reader checks digest and size; the stream may be too long. */
  openBlob(reference: Reference, blob: Descriptor, options: OpenBlobOptions): AsyncIterable<Uint8Array>;
  /** Digests of the manifests that refer to `subject` and are of this artifact type (distribution-spec 1.1 "Listing Referrers"). */
  referrers?(
    reference: Reference,
    subject: Digest,
    artifactType: string,
    signal?: AbortSignal,
  ): Promise<readonly Digest[]>;
  /** Path of a file that is exactly this blob, if there is one, so that it can be cloned instead of copied. */
  blobFile?(blob: Descriptor): Promise<string | undefined>;
  /** Tells that the bytes of `blob` were wrong; true when another place (an origin behind a mirror) can be asked. */
  distrust?(blob: Descriptor): boolean;
  close(): Promise<void>;
}

export interface OpenBlobOptions {
  /** Bytes to leave out at the start. */
  readonly offset?: number;
  readonly signal?: AbortSignal;
}

/** A manifest or index as a source holds it. */
export interface FoundManifest {
  /** Absent for an index that has no bytes of its own (the entries of a layout's index.json that share a name). */
  readonly descriptor?: Descriptor;
  readonly bytes: Uint8Array;
  readonly document: Index | Manifest;
  /** `synthesized`: the archive had none, so no registry knows its digest and it gives no RepoDigest. */
  readonly origin: ManifestOrigin;
}

export type ManifestOrigin = 'source' | 'synthesized';

export function sha256Digest(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** DIGEST_MISMATCH: the bytes of `subject` are not those that its digest promises. */
export function digestMismatch(subject: string, expected: Digest, actual: Digest, source: string): UserError {
  return new UserError(
    'DIGEST_MISMATCH',
    `${subject} from ${source} has the digest ${actual}, expected ${expected}`,
    'It was damaged or changed on its way or where it is kept. Fetch or build the image again.',
  );
}

/** SIZE_MISMATCH: `subject` is longer or shorter than its descriptor says. Sizes in bytes. */
export function sizeMismatch(subject: string, expected: number, actual: string, source: string): UserError {
  return new UserError(
    'SIZE_MISMATCH',
    `${subject} from ${source} has ${actual} bytes, its descriptor says ${expected}`,
    'It was cut off, damaged or changed on its way or where it is kept. Fetch or build the image again.',
  );
}
