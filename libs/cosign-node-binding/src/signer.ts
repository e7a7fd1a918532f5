import type { PublicKey } from './public-key.ts';

/** Somebody who signs digests with one key: a key file here; a token, a TPM or a service elsewhere. */
export interface Signer extends PublicKey {
  /**
   * The signature over a SHA-256 digest (32 bytes): ECDSA as DER `SEQUENCE { r, s }`, RSA as PKCS#1 v1.5 with its
   * DigestInfo. It is what `openssl dgst -sha256 -verify cosign.pub -signature FILE` reads.
   */
  sign(digest: Uint8Array): Promise<Uint8Array>;
}
