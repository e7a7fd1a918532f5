import { randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';
import { readMetadata, type KeyMetadata } from './key-metadata.ts';
import { formatPem, parsePem } from './pem.ts';

/** What cosign writes since 2.0, and what it wrote before. Both hold the same. */
const LABEL = 'ENCRYPTED SIGSTORE PRIVATE KEY';
const OLD_LABEL = 'ENCRYPTED COSIGN PRIVATE KEY';

/**
 * go-securesystemslib encrypted/encrypted.go: the three cost settings that it opens (legacy, standard, OWASP); r and p are
 * always 8 and 1. Nothing else is tried, so that a hostile file cannot ask for more than 128 × 131072 × 8 = 128 MiB.
 */
const SCRYPT_N = [32768, 65536, 131072];
const SCRYPT_R = 8;
const SCRYPT_P = 1;
/** What cosign itself writes. */
const DEFAULT_N = 65536;
const MAX_MEMORY = 256 * 1024 * 1024;
const KEY_BYTES = 32;
const SALT_BYTES = 32;
const MAX_SALT_BYTES = 1024;
/** XSalsa20's nonce, and the Poly1305 tag in front of the ciphertext. */
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** The JSON inside the PEM block. `metadata` is ours; Go's decoder skips fields that it does not know. */
interface EncryptedKeyFile {
  readonly salt: Uint8Array;
  readonly cost: number;
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly metadata: KeyMetadata;
}

/** A private key file as `cosign generate-key-pair` writes it: `plaintext` under scrypt and nacl/secretbox. */
export async function encryptKey(
  plaintext: Uint8Array,
  password: string | Uint8Array,
  metadata: KeyMetadata,
): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const key = await deriveKey(password, salt, DEFAULT_N);
  const ciphertext = xsalsa20poly1305(key, nonce).encrypt(plaintext);
  const json = JSON.stringify({
    kdf: { name: 'scrypt', params: { N: DEFAULT_N, r: SCRYPT_R, p: SCRYPT_P }, salt: encodeBase64(salt) },
    cipher: { name: 'nacl/secretbox', nonce: encodeBase64(nonce) },
    ciphertext: encodeBase64(ciphertext),
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
  });
  return formatPem(LABEL, Buffer.from(json));
}

/** The bytes under the password. Errors: BAD_KEY, WRONG_PASSWORD. */
export async function decryptKey(pem: string, password: string | Uint8Array): Promise<Uint8Array> {
  const file = parseEncryptedKey(pem);
  const key = await deriveKey(password, file.salt, file.cost);
  try {
    return xsalsa20poly1305(key, file.nonce).decrypt(file.ciphertext);
  } catch {
    throw new CosignError(
      'WRONG_PASSWORD',
      'the password does not open the private key',
      'Give the password the key was made with (cosign reads it from COSIGN_PASSWORD), or the key file is damaged.',
    );
  }
}

/** Metadata that stands beside the encrypted key: readable without the password, and not protected by it. Errors: BAD_KEY. */
export function readOuterMetadata(pem: string): KeyMetadata {
  return parseEncryptedKey(pem).metadata;
}

function parseEncryptedKey(pem: string): EncryptedKeyFile {
  const blocks = parsePem(pem);
  if (!blocks || blocks.length !== 1) throw badKey(blocks ? `it has ${blocks.length} PEM blocks` : 'it is not PEM');
  const { label, bytes } = blocks[0]!;
  if (label !== LABEL && label !== OLD_LABEL) {
    throw new CosignError(
      'BAD_KEY',
      `the key file holds "${label}", not "${LABEL}"`,
      label.endsWith('PRIVATE KEY')
        ? 'Import it first (importPrivateKey, or cosign import-key-pair).'
        : 'Give the private key file, cosign.key.',
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw badKey('its content is not JSON');
  }
  const kdf = member(json, 'kdf');
  const params = member(kdf, 'params');
  const cipher = member(json, 'cipher');
  const cost = member(params, 'N');
  if (member(kdf, 'name') !== 'scrypt' || member(cipher, 'name') !== 'nacl/secretbox') {
    throw badKey('it is not encrypted with scrypt and nacl/secretbox');
  }
  if (
    typeof cost !== 'number' ||
    !SCRYPT_N.includes(cost) ||
    member(params, 'r') !== SCRYPT_R ||
    member(params, 'p') !== SCRYPT_P
  ) {
    throw badKey(
      `its scrypt parameters are ${JSON.stringify(params)}, and cosign opens N=${SCRYPT_N.join(', ')} with r=8, p=1 only`,
    );
  }
  const salt = bytesOf(member(kdf, 'salt'));
  const nonce = bytesOf(member(cipher, 'nonce'));
  const ciphertext = bytesOf(member(json, 'ciphertext'));
  if (!salt || salt.length > MAX_SALT_BYTES) throw badKey('its salt is damaged');
  if (nonce?.length !== NONCE_BYTES) throw badKey(`its nonce does not have ${NONCE_BYTES} bytes`);
  if (!ciphertext || ciphertext.length <= TAG_BYTES) throw badKey('its ciphertext is damaged');
  return { salt, cost, nonce, ciphertext, metadata: readMetadata(member(json, 'metadata')) };
}

function badKey(reason: string): CosignError {
  return new CosignError(
    'BAD_KEY',
    `the private key cannot be read: ${reason}`,
    'Make a new pair with cosign generate-key-pair.',
  );
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return typeof value === 'string' ? decodeBase64(value) : undefined;
}

async function deriveKey(password: string | Uint8Array, salt: Uint8Array, cost: number): Promise<Uint8Array> {
  const derive = promisify<string | Uint8Array, Uint8Array, number, object, Buffer>(scrypt);
  return await derive(password, salt, KEY_BYTES, { N: cost, r: SCRYPT_R, p: SCRYPT_P, maxmem: MAX_MEMORY });
}
