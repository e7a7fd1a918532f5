import { bundleToJSON, toMessageSignatureBundle } from '@sigstore/bundle';
import { encodeBase64 } from './base64.ts';
import { checkDigest, digestBlob, type Blob } from './digest.ts';
import type { Signer } from './signer.ts';

/** The signature of a blob in each form that it is handed on in. */
export interface BlobSignature {
  /** SHA-256 of the blob. */
  readonly digest: Uint8Array;
  readonly keyId: string;
  /** The bare signature, DER for ECDSA: for `openssl dgst -sha256 -verify cosign.pub -signature FILE`. */
  readonly bytes: Uint8Array;
  /** Content of a raw `.sig` file: base64 without a newline, for `cosign verify-blob --signature FILE`. */
  readonly raw: string;
  /** Content of a `.sigstore.json` file: a Sigstore bundle v0.3, for `cosign verify-blob --bundle FILE`. */
  readonly bundle: string;
}

/** The signature of a blob; equal keys and blobs give equal signatures (for a key file). */
export async function signBlob(signer: Signer, blob: Blob): Promise<BlobSignature> {
  return await signDigest(signer, await digestBlob(blob));
}

/** As `signBlob`, for a blob whose SHA-256 digest (32 bytes) is known. Errors: BAD_DIGEST. */
export async function signDigest(signer: Signer, digest: Uint8Array): Promise<BlobSignature> {
  const bytes = await signer.sign(checkDigest(digest));
  return {
    digest,
    keyId: signer.keyId,
    bytes,
    raw: encodeBase64(bytes),
    bundle: formatBundle(signer.keyId, digest, bytes),
  };
}

/** protobuf-specs sigstore_bundle.proto, v0.3: `publicKey` material, no certificate, no transparency log. */
function formatBundle(keyHint: string, digest: Uint8Array, signature: Uint8Array): string {
  const bundle = toMessageSignatureBundle({
    digest: Buffer.from(digest),
    signature: Buffer.from(signature),
    keyHint,
    certificateChain: false, // with a chain it would be v0.2
  });
  return JSON.stringify(bundleToJSON(bundle));
}
