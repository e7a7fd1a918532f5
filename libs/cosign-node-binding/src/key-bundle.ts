import { BUNDLE_V03_MEDIA_TYPE } from '@sigstore/bundle';
import { decodeBase64 } from './base64.ts';
import { CosignError } from './cosign-error.ts';

/** A Sigstore bundle v0.3 whose material is a public key; nothing of it is believed yet. */
export interface KeyBundle {
  readonly keyHint: string;
  /** What is signed: `messageSignature` or `dsseEnvelope`, as it is there. */
  readonly content: Readonly<Record<string, unknown>>;
}

/** protobuf-specs sigstore_bundle.proto, VerificationMaterial, without the certificates. */
const MATERIAL_FIELDS = new Set(['publicKey', 'tlogEntries', 'timestampVerificationData']);
/** Bundle: the two that a content can have. */
const CONTENT_FIELDS = new Set(['messageSignature', 'dsseEnvelope']);

/**
 * Opens a bundle of at most `limit` characters, whatever it holds; other materials, versions and fields are refused by name.
 * Entries of a transparency log may be there and are not looked at: the key decides. `command` is how cosign makes such a bundle.
 * Errors: BAD_BUNDLE, BUNDLE_VERSION, CERTIFICATE_BUNDLE, LEGACY_BUNDLE.
 */
export function openKeyBundle(text: string, limit: number, command: 'sign-blob' | 'attest-blob'): KeyBundle {
  if (text.length > limit) throw badBundle(`it is longer than ${limit} characters`);
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
      `Sign again with cosign ${command} --new-bundle-format --bundle FILE, or with cosign 3.`,
    );
  }
  const { mediaType, verificationMaterial: material, ...content } = bundle;
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
      `Sign with the key: cosign ${command} --key cosign.key --bundle FILE.`,
    );
  }
  const unknown = [
    ...Object.keys(content).filter((name) => !CONTENT_FIELDS.has(name)),
    ...Object.keys(material).filter((name) => !MATERIAL_FIELDS.has(name)),
  ];
  if (unknown.length > 0) throw badBundle(`it has the unknown fields ${unknown.slice(0, 8).join(', ')}`);
  const keyHint = isObject(material['publicKey']) ? material['publicKey']['hint'] : undefined;
  if (typeof keyHint !== 'string') throw badBundle('verificationMaterial.publicKey.hint is missing');
  return { keyHint, content };
}

/** A field that must be base64 and not empty. */
export function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (!bytes || bytes.length === 0) throw badBundle(`${name} is not base64`);
  return bytes;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function badBundle(reason: string): CosignError {
  return new CosignError('BAD_BUNDLE', `the bundle cannot be read: ${reason}`);
}
