import { createHash } from 'node:crypto';
import { CosignError } from './cosign-error.ts';

const SHA256_BYTES = 32;

/** Bytes to sign or to verify: at hand, or as a stream of any length. */
export type Blob = Uint8Array | AsyncIterable<Uint8Array>;

/** SHA-256 of a blob; a stream is read once and not kept. */
export async function digestBlob(blob: Blob): Promise<Uint8Array> {
  const hash = createHash('sha256');
  if (blob instanceof Uint8Array) hash.update(blob);
  else for await (const chunk of blob) hash.update(chunk);
  return hash.digest();
}

export function checkDigest(digest: Uint8Array): Uint8Array {
  if (digest.length === SHA256_BYTES) return digest;
  throw new CosignError('BAD_DIGEST', `a SHA-256 digest has ${SHA256_BYTES} bytes, this one has ${digest.length}`);
}

/**
 * DigestInfo ::= SEQUENCE { SEQUENCE { OID id-sha256, NULL }, OCTET STRING digest } (RFC 8017 section 9.2, note 1):
 * what PKCS#1 v1.5 pads and signs.
 */
export function digestInfo(digest: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), digest]);
}
