/** Why a key, a signature or a bundle was refused. Closed: a program may switch over it. */
export type CosignErrorCode =
  /** The key file is not one of cosign's, or is damaged. */
  | 'BAD_KEY'
  /** The key is sound, but of a kind that does not interoperate. */
  | 'UNSUPPORTED_KEY'
  /** The key file does not open with this password. */
  | 'WRONG_PASSWORD'
  /** Metadata of a key that cannot be written down. */
  | 'BAD_METADATA'
  /** What was given as SHA-256 digest has not 32 bytes. */
  | 'BAD_DIGEST'
  /** A signature that is not base64, or is not a signature of the key's algorithm. */
  | 'BAD_SIGNATURE'
  /** A bundle that is not a Sigstore bundle, or is damaged. */
  | 'BAD_BUNDLE'
  /** A Sigstore bundle of another version than v0.3. */
  | 'BUNDLE_VERSION'
  /** A bundle whose signer is a certificate; a key was asked for. */
  | 'CERTIFICATE_BUNDLE'
  /** cosign's own older blob bundle, which can carry its own key. */
  | 'LEGACY_BUNDLE'
  /** A bundle that holds an attestation (DSSE envelope), not the signature of a blob. */
  | 'NOT_A_BLOB_SIGNATURE'
  /** A bundle that holds something else than an in-toto statement. */
  | 'NOT_A_STATEMENT'
  /** The bundle names another key. */
  | 'KEY_MISMATCH'
  /** The bundle names the digest of other bytes. */
  | 'DIGEST_MISMATCH'
  /** The signature was not made with this key over these bytes. */
  | 'SIGNATURE_MISMATCH';

/** A refusal: what happened, and in `hint` what would work. */
export class CosignError extends Error {
  override readonly name = 'CosignError';
  readonly code: CosignErrorCode;
  readonly hint: string | undefined;

  constructor(code: CosignErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}
