import { UserError } from './user-error.ts';

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md "Digests"). */
export type Digest = `sha256:${string}`;

const SHA256 = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return SHA256.test(text);
}

export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new UserError('BAD_DIGEST', `"${text}" is not a digest`, 'A digest is "sha256:" and 64 lower-case hex digits.');
}

/** The 64 hex digits behind the algorithm. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
