import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { signBlob, signDigest, type Signer } from 'cosign-node-binding';
import type { ArtifactFile } from '@boxship/formats';
import { writeFileAtomically } from '@boxship/host';
import { digestHex, type Digest, type ReleaseDocument, type Variant } from '@boxship/model';

export const RELEASE_FILE = 'release.json';

/** One file of a release. */
export interface ReleaseFile extends ArtifactFile {
  /** Of a document about the others: which one it is. */
  readonly document?: ReleaseDocument;
}

export interface ReleasePartition {
  readonly number: number;
  readonly name?: string;
  /** Absent where an installer decides. */
  readonly start?: number;
  readonly size: number;
  readonly role: 'vendor' | 'rootfs' | 'store' | 'data';
}

/** The release that this one was made of, where a half of it was exchanged. */
export interface ReleaseOrigin {
  /** What stayed, byte for byte. */
  readonly kept: 'base' | 'apps';
  /** Its version. */
  readonly version: string;
  /** Digest of its file. */
  readonly file: Digest;
}

/** release.json: what was made, from what. Signed; it stands outside of the image and names its files. */
export interface Release {
  readonly kind: 'boxship-release';
  readonly releaseVersion: 1;
  /** True when a development key signed it: not for devices that leave the house. */
  readonly development: boolean;
  readonly files: readonly ReleaseFile[];
  readonly partitions: readonly ReleasePartition[];
  /** Files that were added to or changed in the vendor's rootfs. */
  readonly rootfsChanges: readonly string[];
  /** Absent of what was composed from a vendor's image. */
  readonly madeFrom?: ReleaseOrigin;
  readonly variant: Variant;
}

/** The release as the bytes that are signed. */
export function formatRelease(release: Release): string {
  return `${JSON.stringify(release, null, 2)}\n`;
}

/**
 * Names of the signatures that lie beside a file: a Sigstore bundle v0.3 and cosign's raw form. A block map has no raw one:
 * bmaptool takes `<map>.sig` for an OpenPGP signature and fails.
 */
export function signatureNames(name: string): { readonly bundle: string; readonly raw?: string } {
  return { bundle: `${name}.sigstore.json`, ...(name.endsWith('.bmap') ? {} : { raw: `${name}.sig` }) };
}

/** Writes release.json and the signatures of it and of each of its files into `folder`. */
export async function writeRelease(folder: string, release: Release, signer: Signer): Promise<void> {
  await writeSigned(folder, RELEASE_FILE, formatRelease(release), release.files, signer);
}

/** Writes a document that names `files`, and the signatures of it and of each of them, into their folder. */
export async function writeSigned(
  folder: string,
  document: string,
  text: string,
  files: readonly ReleaseFile[],
  signer: Signer,
): Promise<void> {
  const write = async (name: string, signature: { raw: string; bundle: string }) => {
    const names = signatureNames(name);
    await writeFileAtomically(join(folder, names.bundle), signature.bundle);
    if (names.raw !== undefined) await writeFileAtomically(join(folder, names.raw), signature.raw);
  };
  for (const { name, digest } of files) {
    await write(name, await signDigest(signer, Buffer.from(digestHex(digest), 'hex')));
  }
  await writeFileAtomically(join(folder, document), text);
  await write(document, await signBlob(signer, Buffer.from(text)));
}

export function digestOfBytes(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
