import { CosignError } from './cosign-error.ts';
import { badBundle, bytesOf, isObject, openKeyBundle } from './key-bundle.ts';

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
 * refused by name. Errors: those of `openKeyBundle`, NOT_A_BLOB_SIGNATURE.
 */
export function parseBlobBundle(text: string): BlobBundle {
  const { keyHint, content } = openKeyBundle(text, MAX_LENGTH, 'sign-blob');
  if (Object.hasOwn(content, 'dsseEnvelope')) {
    throw new CosignError(
      'NOT_A_BLOB_SIGNATURE',
      'the bundle holds an attestation (dsseEnvelope), not the signature of a blob',
    );
  }
  const { messageSignature } = content;
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
