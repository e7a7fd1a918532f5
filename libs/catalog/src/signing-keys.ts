import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UserError } from '@boxship/model';
import type { Product } from './product.ts';

const KEY_HINT =
  'Make a pair with "boxship keygen", or name one in boxship.yaml: signing: { key: ./keys/release.key }.';

/** Absolute path of a half of the product's key. Errors: NO_SIGNING_KEY when the product file names none. */
export function signingKeyPath(product: Product, part: 'key' | 'publicKey'): string {
  if (!product.signing) {
    throw new UserError('NO_SIGNING_KEY', 'boxship.yaml names no signing key, and nothing unsigned leaves', KEY_HINT);
  }
  return resolve(dirname(product.file), product.signing[part]);
}

/** Text of the public half, PEM. Errors: NO_SIGNING_KEY, NO_PUBLIC_KEY. */
export async function readPublicKey(product: Product): Promise<string> {
  return await readSigningKey(signingKeyPath(product, 'publicKey'), 'NO_PUBLIC_KEY');
}

/** Text of a key; an error with `code` when there is none. */
export async function readSigningKey(path: string, code: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new UserError(code, `there is no key ${path}`, KEY_HINT);
  });
}

/** Text of the certificate of the key, when the product file names one. Errors: NO_CERTIFICATE. */
export async function readCertificate(product: Product): Promise<string | undefined> {
  const { certificate } = product.signing ?? {};
  if (certificate === undefined) return undefined;
  const path = resolve(dirname(product.file), certificate);
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    const hint = 'Without "certificate", updates are signed with one that the key signs itself.';
    throw new UserError('NO_CERTIFICATE', `there is no certificate ${path}`, hint);
  });
}
