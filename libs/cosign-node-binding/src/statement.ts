import { createHash } from 'node:crypto';
import { BUNDLE_V03_MEDIA_TYPE, bundleToJSON, toDSSEBundle } from '@sigstore/bundle';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';
import { parsePublicKey, type PublicKey } from './public-key.ts';
import type { Signer } from './signer.ts';
import { verifyDigest } from './verify-blob.ts';

/** Media type of an in-toto statement inside of an envelope (in-toto attestation, spec/v1/envelope.md). */
const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const MAX_LENGTH = 16 * 1024 * 1024;

/** What a statement is about, and what was proven of it. */
export interface VerifiedStatement {
  readonly keyId: string;
  /** The statement's bytes as they were signed: JSON. */
  readonly statement: string;
}

/**
 * An in-toto statement in a signed envelope (DSSE v1.0), as a Sigstore bundle v0.3: for `cosign verify-blob-attestation --key
 * cosign.pub --bundle FILE`. Equal keys and statements give equal bundles (for a key file).
 */
export async function signStatement(signer: Signer, statement: string): Promise<string> {
  const signature = await signer.sign(digestOf(Buffer.from(statement)));
  const bundle = toDSSEBundle({
    artifact: Buffer.from(statement),
    artifactType: STATEMENT_TYPE,
    signature: Buffer.from(signature),
    keyHint: signer.keyId,
    certificateChain: false, // with a chain it would be v0.2
  });
  // cosign leaves it empty, and takes no other: the hint of the material names the key
  for (const one of bundle.content.dsseEnvelope.signatures) one.keyid = '';
  return JSON.stringify(bundleToJSON(bundle));
}

/**
 * The statement that the holder of exactly this key signed, or a `CosignError`. What it says of an artifact is for the caller to
 * compare: `subject[].digest.sha256`. Errors: BAD_KEY, BAD_BUNDLE, BUNDLE_VERSION, CERTIFICATE_BUNDLE, KEY_MISMATCH,
 * NOT_A_STATEMENT, SIGNATURE_MISMATCH, BAD_SIGNATURE.
 */
export function verifyStatement(publicKey: string | PublicKey, bundle: string): VerifiedStatement {
  const key = typeof publicKey === 'string' ? parsePublicKey(publicKey) : publicKey;
  const { keyHint, payload, signature } = parseStatementBundle(bundle);
  if (keyHint !== key.keyId) {
    throw new CosignError(
      'KEY_MISMATCH',
      `the statement was signed with the key ${keyHint.slice(0, 64)}, not with ${key.keyId}`,
      'Verify with the public key of the signer.',
    );
  }
  verifyDigest(key, encodeBase64(signature), digestOf(payload));
  return { keyId: key.keyId, statement: Buffer.from(payload).toString('utf8') };
}

/** SHA-256 of DSSE's pre-authentication encoding (dsse protocol.md): "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body. */
function digestOf(payload: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${STATEMENT_TYPE.length} ${STATEMENT_TYPE} ${payload.length} `;
  return createHash('sha256').update(head).update(payload).digest();
}

function parseStatementBundle(text: string): { keyHint: string; payload: Uint8Array; signature: Uint8Array } {
  if (text.length > MAX_LENGTH) throw badBundle(`it is longer than ${MAX_LENGTH} characters`);
  let bundle: unknown;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw badBundle('it is not JSON');
  }
  const { mediaType, verificationMaterial: material, dsseEnvelope: envelope } = objectOf(bundle, 'the bundle');
  if (mediaType !== BUNDLE_V03_MEDIA_TYPE) {
    throw new CosignError('BUNDLE_VERSION', `the bundle's media type is ${JSON.stringify(mediaType)?.slice(0, 100)}, not "${BUNDLE_V03_MEDIA_TYPE}"`, 'Sign again with cosign 2.5 or later.'); // prettier-ignore
  }
  const { publicKey, ...others } = objectOf(material, 'verificationMaterial');
  if (Object.hasOwn(others, 'certificate') || Object.hasOwn(others, 'x509CertificateChain')) {
    throw new CosignError('CERTIFICATE_BUNDLE', 'the statement was signed with a certificate, not with a key', 'Sign with the key: cosign attest-blob --key cosign.key --bundle FILE.'); // prettier-ignore
  }
  const { hint } = objectOf(publicKey, 'verificationMaterial.publicKey');
  if (typeof hint !== 'string') throw badBundle('verificationMaterial.publicKey.hint is missing');
  if (envelope === undefined) {
    throw new CosignError(
      'NOT_A_STATEMENT',
      'the bundle holds the signature of a blob, not a statement (dsseEnvelope)',
    );
  }
  const { payload, payloadType, signatures } = objectOf(envelope, 'dsseEnvelope');
  if (payloadType !== STATEMENT_TYPE) {
    throw new CosignError('NOT_A_STATEMENT', `the envelope holds ${JSON.stringify(payloadType)?.slice(0, 100)}, not "${STATEMENT_TYPE}"`); // prettier-ignore
  }
  if (!Array.isArray(signatures) || signatures.length !== 1)
    throw badBundle('dsseEnvelope has not exactly one signature');
  const { sig } = objectOf(signatures[0], 'dsseEnvelope.signatures[0]');
  return {
    keyHint: hint,
    payload: bytesOf(payload, 'dsseEnvelope.payload'),
    signature: bytesOf(sig, 'dsseEnvelope.signatures[0].sig'),
  };
}

function objectOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badBundle(`${name} is not a JSON object`);
}

function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (!bytes || bytes.length === 0) throw badBundle(`${name} is not base64`);
  return bytes;
}

function badBundle(reason: string): CosignError {
  return new CosignError('BAD_BUNDLE', `the bundle cannot be read: ${reason}`);
}
