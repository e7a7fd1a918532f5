import { CosignError } from './cosign-error.ts';

/**
 * What a key says of itself, as in `{ purpose: 'development' }`. Names are lower-case words, values one line of printable
 * ASCII. In a private key it is kept twice: readable without the password beside cosign's own fields, and inside the
 * encrypted PKCS#8 key, where it cannot be taken off without the password. A public key has it in comment lines before the
 * PEM block, which anyone can take off.
 */
export type KeyMetadata = Readonly<Record<string, string>>;

/** Metadata of a key that must not sign a release. */
export const DEVELOPMENT: KeyMetadata = Object.freeze({ purpose: 'development' });

const NAME = /^[a-z][a-z0-9-]{0,63}$/;
const VALUE = /^[\x20-\x7e]{1,256}$/;
const MAX_ENTRIES = 32;

/** The metadata with its names in order, so that equal metadata makes equal bytes. Errors: BAD_METADATA. */
export function checkMetadata(metadata: KeyMetadata): KeyMetadata {
  const entries = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of entries) {
    if (NAME.test(name) && VALUE.test(value)) continue;
    throw new CosignError(
      'BAD_METADATA',
      `the key metadata ${JSON.stringify(name)} cannot be written down`,
      'A name is a lower-case word of at most 64 characters, a value one line of at most 256 printable ASCII characters.',
    );
  }
  if (entries.length > MAX_ENTRIES) {
    throw new CosignError('BAD_METADATA', `the key metadata has ${entries.length} entries, at most ${MAX_ENTRIES} fit`);
  }
  return Object.fromEntries(entries);
}

/** What of `value`, which came from a file, is metadata; the rest is left out. */
export function readMetadata(value: unknown): KeyMetadata {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => NAME.test(entry[0]) && typeof entry[1] === 'string' && VALUE.test(entry[1]),
  );
  return Object.fromEntries(entries.slice(0, MAX_ENTRIES));
}

/** Lines `# name: value` to stand before a PEM block; cosign and openssl skip what is outside of blocks. */
export function formatMetadataComment(metadata: KeyMetadata): string {
  return Object.entries(metadata)
    .map(([name, value]) => `# ${name}: ${value}\n`)
    .join('');
}

/** Metadata in the lines before the first PEM block. */
export function parseMetadataComment(pem: string): KeyMetadata {
  const before = pem.slice(0, Math.max(0, pem.indexOf('-----BEGIN ')));
  const entries = [...before.matchAll(/^# ([a-z][a-z0-9-]*): (.*?)\r?$/gm)].map((match) => [match[1], match[2]]);
  return readMetadata(Object.fromEntries(entries));
}
