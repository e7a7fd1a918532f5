import { createHash } from 'node:crypto';
import { bundleToJSON, toDSSEBundle } from '@sigstore/bundle';
import { encodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';
import { badBundle, bytesOf, isObject, openKeyBundle } from './key-bundle.ts';
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
 * compare: `subject[].digest.sha256`. Errors: BAD_KEY, BAD_BUNDLE, BUNDLE_VERSION, CERTIFICATE_BUNDLE, LEGACY_BUNDLE,
 * KEY_MISMATCH, NOT_A_STATEMENT, SIGNATURE_MISMATCH, BAD_SIGNATURE.
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
  const { keyHint, content } = openKeyBundle(text, MAX_LENGTH, 'attest-blob');
  const { dsseEnvelope: envelope, messageSignature } = content;
  if (envelope === undefined || messageSignature !== undefined) {
    throw new CosignError(
      'NOT_A_STATEMENT',
      'the bundle holds the signature of a blob, not a statement (dsseEnvelope)',
    );
  }
  if (!isObject(envelope)) throw badBundle('dsseEnvelope is not a JSON object');
  const { payload, payloadType, signatures } = envelope;
  if (payloadType !== STATEMENT_TYPE) {
    throw new CosignError('NOT_A_STATEMENT', `the envelope holds ${JSON.stringify(payloadType)?.slice(0, 100)}, not "${STATEMENT_TYPE}"`); // prettier-ignore
  }
  const [only, ...others]: readonly unknown[] = Array.isArray(signatures) ? signatures : [];
  if (!isObject(only) || others.length > 0) throw badBundle('dsseEnvelope has not exactly one signature');
  return {
    keyHint,
    payload: bytesOf(payload, 'dsseEnvelope.payload'),
    signature: bytesOf(only['sig'], 'dsseEnvelope.signatures[0].sig'),
  };
}
