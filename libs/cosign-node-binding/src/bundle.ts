import { BUNDLE_V03_MEDIA_TYPE } from '@sigstore/bundle';
import { decodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';

/** What a key-signed blob bundle says; nothing of it is believed until it is compared. */
export interface BlobBundle {
  readonly keyHint: string;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

/** A bundle of a blob is a kilobyte, with a transparency log entry a few. */
const MAX_LENGTH = 1024 * 1024;

/**
 * A Sigstore bundle v0.3 whose material is a public key and whose content is a message signature; everything else is
 * refused by name. Entries of a transparency log may be there and are not looked at: the key decides.
 * Errors: BAD_BUNDLE, BUNDLE_VERSION, CERTIFICATE_BUNDLE, LEGACY_BUNDLE, NOT_A_BLOB_SIGNATURE.
 */
export function parseBlobBundle(text: string): BlobBundle {
  if (text.length > MAX_LENGTH) throw badBundle(`it is longer than ${MAX_LENGTH} characters`);
  let bundle: unknown;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw badBundle('it is not JSON');
  }
  if (!isObject(bundle)) throw badBundle('it is not a JSON object');
  if (['base64Signature', 'cert', 'rekorBundle'].some((name) => Object.hasOwn(bundle, name))) {
    throw new CosignError(
      'LEGACY_BUNDLE',
      "the bundle has cosign's older form (base64Signature, cert), which can carry a key of its own",
      'Sign again with cosign sign-blob --new-bundle-format --bundle FILE, or with cosign 3.',
    );
  }
  const { mediaType, verificationMaterial: material, messageSignature, ...rest } = bundle;
  if (mediaType !== BUNDLE_V03_MEDIA_TYPE) {
    throw new CosignError(
      'BUNDLE_VERSION',
      `the bundle's media type is ${JSON.stringify(mediaType)?.slice(0, 100)}, not "${BUNDLE_V03_MEDIA_TYPE}"`,
      'Sign again with cosign 2.5 or later.',
    );
  }
  if (!isObject(material)) throw badBundle('it has no verificationMaterial');
  if (Object.hasOwn(material, 'certificate') || Object.hasOwn(material, 'x509CertificateChain')) {
    throw new CosignError(
      'CERTIFICATE_BUNDLE',
      'the bundle was signed with a certificate, not with a key',
      'Sign with the key: cosign sign-blob --key cosign.key --bundle FILE.',
    );
  }
  if (Object.hasOwn(rest, 'dsseEnvelope')) {
    throw new CosignError(
      'NOT_A_BLOB_SIGNATURE',
      'the bundle holds an attestation (dsseEnvelope), not the signature of a blob',
    );
  }
  const unknown = [...Object.keys(rest), ...Object.keys(material).filter((name) => !MATERIAL_FIELDS.has(name))];
  if (unknown.length > 0) throw badBundle(`it has the unknown fields ${unknown.slice(0, 8).join(', ')}`);

  const keyHint = isObject(material['publicKey']) ? material['publicKey']['hint'] : undefined;
  if (typeof keyHint !== 'string') throw badBundle('verificationMaterial.publicKey.hint is missing');
  if (!isObject(messageSignature)) throw badBundle('it has no messageSignature');
  const { messageDigest } = messageSignature;
  if (!isObject(messageDigest) || messageDigest['algorithm'] !== 'SHA2_256') {
    throw badBundle('messageSignature.messageDigest is not a SHA2_256 digest');
  }
  return {
    keyHint,
    digest: bytesOf(messageDigest['digest'], 'messageSignature.messageDigest.digest'),
    signature: bytesOf(messageSignature['signature'], 'messageSignature.signature'),
  };
}

/** protobuf-specs sigstore_bundle.proto, VerificationMaterial, without the certificates. */
const MATERIAL_FIELDS = new Set(['publicKey', 'tlogEntries', 'timestampVerificationData']);

function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (!bytes || bytes.length === 0) throw badBundle(`${name} is not base64`);
  return bytes;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badBundle(reason: string): CosignError {
  return new CosignError('BAD_BUNDLE', `the bundle cannot be read: ${reason}`);
}
