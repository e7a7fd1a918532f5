import { constants, publicDecrypt, timingSafeEqual } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { decodeBase64 } from './base64.ts';
import { parseBlobBundle } from './bundle.ts';
import { CosignError } from './cosign-error.ts';
import { checkDigest, digestBlob, digestInfo, type Blob } from './digest.ts';
import { parsePublicKey, publicKeyObject, type PublicKey } from './public-key.ts';

/** What was proven: the holder of this key signed the blob with this SHA-256 digest. */
export interface VerifiedBlob {
  readonly keyId: string;
  readonly digest: Uint8Array;
  readonly form: 'raw' | 'bundle';
}

/**
 * Proves that a blob was signed with exactly this key, or throws a `CosignError`. No clock, no network, no trust root: a
 * bundle is taken only when its material is a public key, its hint is this key and its digest is that of the blob.
 *
 * @param publicKey `cosign.pub`, or a key that `parsePublicKey` gave
 * @param signature content of a raw `.sig` file (base64) or of a bundle
 * Errors: BAD_KEY, UNSUPPORTED_KEY, BAD_SIGNATURE, SIGNATURE_MISMATCH; for bundles BAD_BUNDLE, BUNDLE_VERSION,
 * CERTIFICATE_BUNDLE, LEGACY_BUNDLE, NOT_A_BLOB_SIGNATURE, KEY_MISMATCH, DIGEST_MISMATCH.
 */
export async function verifyBlob(
  publicKey: string | PublicKey,
  signature: string | Uint8Array,
  blob: Blob,
): Promise<VerifiedBlob> {
  const check = openSignature(publicKey, signature); // before a large blob is read
  return check(await digestBlob(blob));
}

/** As `verifyBlob`, for a blob whose SHA-256 digest (32 bytes) is known. Errors: also BAD_DIGEST. */
export function verifyDigest(
  publicKey: string | PublicKey,
  signature: string | Uint8Array,
  digest: Uint8Array,
): VerifiedBlob {
  return openSignature(publicKey, signature)(checkDigest(digest));
}

function openSignature(
  publicKey: string | PublicKey,
  signature: string | Uint8Array,
): (digest: Uint8Array) => VerifiedBlob {
  const key = typeof publicKey === 'string' ? parsePublicKey(publicKey) : publicKey;
  const text = typeof signature === 'string' ? signature : Buffer.from(signature).toString();
  const form = text.trimStart().startsWith('{') ? 'bundle' : 'raw';
  const bundle = form === 'bundle' ? parseBlobBundle(text) : undefined;
  const bytes = bundle ? bundle.signature : parseRawSignature(text);
  if (bundle && bundle.keyHint !== key.keyId) {
    throw new CosignError(
      'KEY_MISMATCH',
      `the bundle was signed with the key ${bundle.keyHint.slice(0, 64)}, not with ${key.keyId}`,
      'Verify with the public key of the signer, or sign again with the right key.',
    );
  }
  return (digest) => {
    if (bundle && !equal(bundle.digest, digest)) {
      throw new CosignError(
        'DIGEST_MISMATCH',
        `the bundle signs the digest sha256:${hex(bundle.digest)}, the blob has sha256:${hex(digest)}`,
        'The blob was changed after signing, or the bundle belongs to another file.',
      );
    }
    const valid =
      key.algorithm === 'ecdsa-p256-sha256' ? ecdsaVerify(key, bytes, digest) : rsaVerify(key, bytes, digest);
    if (valid) return { keyId: key.keyId, digest, form };
    throw new CosignError(
      'SIGNATURE_MISMATCH',
      `the key ${key.keyId} did not sign the blob sha256:${hex(digest)}`,
      'The blob or its signature was changed, or it was signed with another key.',
    );
  };
}

/** base64 as `cosign sign-blob` writes it; white space at the end is what an editor or a shell adds. */
function parseRawSignature(text: string): Uint8Array {
  const bytes = text.length <= 16 * 1024 ? decodeBase64(text.trimEnd()) : undefined;
  if (bytes && bytes.length > 0) return bytes;
  throw new CosignError('BAD_SIGNATURE', 'the signature is neither base64 nor a Sigstore bundle');
}

/** Any s is taken, as Go and openssl do: a second valid signature over the same blob proves no less. */
function ecdsaVerify(key: PublicKey, signature: Uint8Array, digest: Uint8Array): boolean {
  const { x, y } = publicKeyObject(key).export({ format: 'jwk' });
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  try {
    p256.Signature.fromBytes(signature, 'der');
  } catch {
    throw new CosignError('BAD_SIGNATURE', 'the signature is not an ECDSA signature on P-256 (DER)');
  }
  return p256.verify(signature, digest, point, { prehash: false, lowS: false, format: 'der' });
}

/** RFC 8017 section 8.2.2: OpenSSL checks the padding, the whole DigestInfo is compared with the one expected. */
function rsaVerify(key: PublicKey, signature: Uint8Array, digest: Uint8Array): boolean {
  try {
    const signed = publicDecrypt({ key: publicKeyObject(key), padding: constants.RSA_PKCS1_PADDING }, signature);
    return equal(signed, digestInfo(digest));
  } catch {
    return false;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
