import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { encodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';
import { formatMetadataComment, parseMetadataComment, type KeyMetadata } from './key-metadata.ts';
import { formatPem, parsePem } from './pem.ts';

/** The two kinds of key that every cosign, `@sigstore` and openssl agree on; both sign a SHA-256 digest. */
export type SignatureAlgorithm = 'ecdsa-p256-sha256' | 'rsa-pkcs1v15-sha256';

/** A key that signatures are checked with. */
export interface PublicKey {
  readonly algorithm: SignatureAlgorithm;
  /** base64 of the SHA-256 of the key's SubjectPublicKeyInfo: the `hint` in a bundle. */
  readonly keyId: string;
  /** PEM block `PUBLIC KEY`, after the metadata in comment lines. */
  readonly publicKeyPem: string;
  /** From the comment lines: a remark, protected by nothing. */
  readonly metadata: KeyMetadata;
}

/** sigstore's goodkey policy: cosign refuses every other RSA key. */
const RSA_BITS = [2048, 3072, 4096];
const RSA_EXPONENT = 65537n;

/** A `cosign.pub`, checked. Errors: BAD_KEY, UNSUPPORTED_KEY. */
export function parsePublicKey(pem: string): PublicKey {
  const blocks = parsePem(pem);
  if (blocks?.length !== 1 || blocks[0]!.label !== 'PUBLIC KEY') {
    throw new CosignError(
      'BAD_KEY',
      'the public key is not one PEM block "PUBLIC KEY"',
      'Give the file cosign.pub (cosign public-key --key cosign.key prints it).',
    );
  }
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(blocks[0]!.bytes), format: 'der', type: 'spki' });
  } catch {
    throw new CosignError('BAD_KEY', 'the public key is damaged: it is not a SubjectPublicKeyInfo');
  }
  return describePublicKey(key, parseMetadataComment(pem));
}

/** The value for a Node public key. Errors: UNSUPPORTED_KEY. */
export function describePublicKey(key: KeyObject, metadata: KeyMetadata): PublicKey {
  const algorithm = algorithmOf(key);
  const der = key.export({ type: 'spki', format: 'der' });
  return {
    algorithm,
    keyId: encodeBase64(createHash('sha256').update(der).digest()),
    publicKeyPem: formatMetadataComment(metadata) + formatPem('PUBLIC KEY', der),
    metadata,
  };
}

/** Node's form of a key that `parsePublicKey` has checked. */
export function publicKeyObject(key: PublicKey): KeyObject {
  return createPublicKey(key.publicKeyPem);
}

/** Works for private and public keys. Errors: UNSUPPORTED_KEY, with the kinds that would work. */
export function algorithmOf(key: KeyObject): SignatureAlgorithm {
  const details = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && details.namedCurve === 'prime256v1') return 'ecdsa-p256-sha256';
  if (key.asymmetricKeyType === 'rsa') {
    const bits = details.modulusLength ?? 0;
    if (RSA_BITS.includes(bits) && details.publicExponent === RSA_EXPONENT) return 'rsa-pkcs1v15-sha256';
    throw unsupported(`RSA with ${bits} bits and exponent ${details.publicExponent}`);
  }
  const curve = key.asymmetricKeyType === 'ec' ? ` on ${details.namedCurve ?? 'a curve without a name'}` : '';
  throw unsupported(`${key.asymmetricKeyType ?? 'unknown'}${curve}`);
}

function unsupported(what: string): CosignError {
  return new CosignError(
    'UNSUPPORTED_KEY',
    `the key is ${what}, which not every cosign verifies`,
    `Use ECDSA on P-256 (openssl ecparam -name prime256v1 -genkey), or RSA with ${RSA_BITS.join(', ')} bits and exponent 65537.`,
  );
}
