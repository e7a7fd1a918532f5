import { verify } from 'node:crypto';
import type { RootfsReader } from '@boxship/filesystem';
import { MiB } from '@boxship/model';
import { findStoresInPartition } from './engine-stores.ts';
import type { InspectedStore, SignatureState } from './inspection.ts';
import { objectsIn, listIn, parseObject, textIn } from './json-document.ts';

/** Names at the top of a store partition. */
const MANIFEST = 'store.json';
const SIGNATURE = 'store.json.sig';

/**
 * The store in a file system; undefined when it is none. `publicKeyPem` decides about the signature of store.json, as the
 * device's openssl does; what store.json names is not read. Errors: BAD_DOCUMENT.
 */
export async function inspectStore(
  files: RootfsReader,
  publicKeyPem: string | undefined,
): Promise<InspectedStore | undefined> {
  if ((await files.lstat(MANIFEST))?.type !== 'file') return undefined;
  const bytes = await files.readFile(MANIFEST, 16 * MiB);
  const manifest = parseObject(bytes, 'store.json', 'boxship-store');
  return {
    signature: await signatureOf(files, bytes, publicKeyPem),
    product: textIn(manifest, 'product'),
    version: textIn(manifest, 'version'),
    variant: textIn(manifest, 'variant'),
    machine: textIn(manifest, 'machine'),
    platform: textIn(manifest, 'platform'),
    engine: textIn(manifest, 'engine'),
    socketVersion: Number(manifest['socketVersion']),
    apps: objectsIn(manifest, 'apps').map((app) => textIn(app, 'name')),
    images: objectsIn(manifest, 'images').map((image) => ({
      reference: textIn(image, 'reference'),
      manifest: textIn(image, 'manifest'),
      config: textIn(image, 'config'),
      layers: listIn(image, 'layers').length,
    })),
    stores: await findStoresInPartition(files),
  };
}

/** Base64 of an ECDSA signature in DER, over the sha256 of the bytes: what `openssl dgst -sha256 -verify` takes. */
async function signatureOf(
  files: RootfsReader,
  bytes: Uint8Array,
  publicKeyPem: string | undefined,
): Promise<SignatureState> {
  const text = await files.readText(SIGNATURE, 4096);
  if (text === undefined) return 'missing';
  if (publicKeyPem === undefined) return 'unchecked';
  return verify('sha256', bytes, publicKeyPem, Buffer.from(text, 'base64')) ? 'ok' : 'bad';
}
