import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generate,
  privateEncrypt,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { p256 } from '@noble/curves/nist.js';
import { CosignError } from './cosign-error.ts';
import { checkDigest, digestInfo } from './digest.ts';
import { decryptKey, encryptKey, readOuterMetadata } from './encrypted-key.ts';
import { checkMetadata, type KeyMetadata } from './key-metadata.ts';
import { parsePem } from './pem.ts';
import { addMetadataAttribute, readMetadataAttribute } from './pkcs8-attributes.ts';
import { algorithmOf, describePublicKey, parsePublicKey, type PublicKey } from './public-key.ts';
import type { Signer } from './signer.ts';

/** The two files of `cosign generate-key-pair`, as text. */
export interface KeyPair {
  /** `cosign.key`: PEM `ENCRYPTED SIGSTORE PRIVATE KEY`. Write it with mode 0600. */
  readonly privateKeyPem: string;
  /** `cosign.pub`: PEM `PUBLIC KEY`. */
  readonly publicKeyPem: string;
}

export interface KeyOptions {
  /** May be empty, as with cosign. */
  readonly password: string | Uint8Array;
  /** Kept in both files; see `KeyMetadata`. Errors: BAD_METADATA. */
  readonly metadata?: KeyMetadata;
}

/** A new P-256 key pair that every cosign since 2.0 signs and verifies with. */
export async function generateKeyPair(options: KeyOptions): Promise<KeyPair> {
  const { privateKey } = await promisify(generate)('ec', { namedCurve: 'prime256v1' });
  return await writeKeyPair(privateKey, options);
}

/**
 * A key pair in cosign's format around a private key that exists: PEM of PKCS#8, SEC1 or PKCS#1, not encrypted.
 * Errors: BAD_KEY; UNSUPPORTED_KEY for all but P-256 and RSA of 2048, 3072 or 4096 bits.
 */
export async function importPrivateKey(pem: string, options: KeyOptions): Promise<KeyPair> {
  const blocks = parsePem(pem)?.filter(({ label }) => label !== 'EC PARAMETERS'); // openssl writes it before a SEC1 key
  const block = blocks?.length === 1 ? blocks[0]! : undefined;
  const types = { 'PRIVATE KEY': 'pkcs8', 'EC PRIVATE KEY': 'sec1', 'RSA PRIVATE KEY': 'pkcs1' } as const;
  const type = block && Object.hasOwn(types, block.label) ? types[block.label as keyof typeof types] : undefined;
  if (!block || !type) {
    // "Proc-Type: 4,ENCRYPTED" is in the headers of OpenSSL's older encrypted keys, whose content is then no DER.
    throw notImportable(block ? `it is a PEM block "${block.label}"` : 'it is not one PEM block');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: Buffer.from(block.bytes), format: 'der', type });
  } catch {
    throw notImportable('it is damaged or encrypted');
  }
  return await writeKeyPair(key, options);
}

/**
 * The signer for a `cosign.key`, of ours or of any cosign (the older label `ENCRYPTED COSIGN PRIVATE KEY` too).
 * Its metadata is what the password protects, and besides it what stands outside. Needs 64 to 128 MiB for a moment (scrypt).
 * Errors: BAD_KEY, WRONG_PASSWORD, UNSUPPORTED_KEY.
 */
export async function loadPrivateKey(pem: string, password: string | Uint8Array): Promise<Signer> {
  const outer = readOuterMetadata(pem);
  const pkcs8 = await decryptKey(pem, password);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    throw new CosignError('BAD_KEY', 'the password opens the private key, but it is not a PKCS#8 key');
  }
  const metadata = checkMetadata({ ...outer, ...readMetadataAttribute(pkcs8) });
  const algorithm = algorithmOf(key);
  const sign = algorithm === 'ecdsa-p256-sha256' ? ecdsaSign(key) : rsaSign(key);
  return { ...describePublicKey(createPublicKey(key), metadata), sign };
}

/** What verifies the signatures of a signer. */
export function publicKeyOf({ algorithm, keyId, publicKeyPem, metadata }: Signer): PublicKey {
  return { algorithm, keyId, publicKeyPem, metadata };
}

/**
 * Whether a key file, private or public, or a loaded key says that it is for development only: its metadata has
 * `purpose: development`. For a private key file this reads what stands beside the encrypted key; `loadPrivateKey` also
 * sees the mark inside, which nobody can take off without the password. Errors: BAD_KEY, UNSUPPORTED_KEY.
 */
export function isDevelopmentKey(key: string | PublicKey): boolean {
  return metadataOf(key)['purpose'] === 'development';
}

function metadataOf(key: string | PublicKey): KeyMetadata {
  if (typeof key !== 'string') return key.metadata;
  const isPublic = parsePem(key)?.some(({ label }) => label === 'PUBLIC KEY') ?? false;
  return isPublic ? parsePublicKey(key).metadata : readOuterMetadata(key);
}

async function writeKeyPair(key: KeyObject, { password, metadata = {} }: KeyOptions): Promise<KeyPair> {
  const { publicKeyPem } = describePublicKey(createPublicKey(key), checkMetadata(metadata)); // refuses unsupported kinds
  const checked = checkMetadata(metadata);
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const plaintext = Object.keys(checked).length > 0 ? addMetadataAttribute(pkcs8, checked) : pkcs8;
  return { privateKeyPem: await encryptKey(plaintext, password, checked), publicKeyPem };
}

/** Deterministic (RFC 6979), so that equal inputs make equal signatures; OpenSSL's ECDSA is not. */
function ecdsaSign(key: KeyObject): Signer['sign'] {
  const scalar = Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url');
  return async (digest) => p256.sign(checkDigest(digest), scalar, { prehash: false, lowS: false, format: 'der' });
}

function rsaSign(key: KeyObject): Signer['sign'] {
  return async (digest) =>
    privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(checkDigest(digest)));
}

function notImportable(reason: string): CosignError {
  return new CosignError(
    'BAD_KEY',
    `the private key cannot be imported: ${reason}`,
    'Give an unencrypted PEM: "PRIVATE KEY", "EC PRIVATE KEY" or "RSA PRIVATE KEY" (openssl pkey -in KEY -out PLAIN decrypts one).',
  );
}
