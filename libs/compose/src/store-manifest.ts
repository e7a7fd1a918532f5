import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { UserError, digestHex, type Digest, type Tree, type TreeEntry, type Variant } from '@boxship/model';
import { generatedFile } from '@boxship/engines';

/** The socket that a store of ours needs on the device; a socket of this version or later takes it. */
export const SOCKET_VERSION = 1;
/** Room for the signature inside the store: base64 of an ECDSA P-256 signature in DER (at most 72 bytes) and newlines. */
export const SIGNATURE_BYTES = 128;

/** Signs the sha256 of some bytes; the signature as DER, as `openssl dgst -verify` reads it. */
export type SignDigest = (sha256: Uint8Array) => Promise<Uint8Array>;

/**
 * What makes a store prove itself on the device: `store.sums` (sha256sum -c, one line for each file that decides what
 * runs), `store.json` that names the sums and everything inside, and its signature.
 */
export async function storeManifest(
  variant: Variant,
  tree: Tree,
  verified: ReadonlySet<string>,
  sign: SignDigest,
): Promise<readonly TreeEntry[]> {
  const sums = await sumsOf(tree, verified);
  const manifest = `${JSON.stringify(
    {
      kind: 'boxship-store',
      socketVersion: SOCKET_VERSION,
      product: variant.product,
      version: variant.version,
      variant: variant.name,
      machine: variant.machine.name,
      platform: variant.machine.platform,
      engine: variant.engine.name,
      development: variant.signing.development,
      keyId: variant.signing.keyId,
      sums: `sha256:${createHash('sha256').update(sums).digest('hex')}`,
      apps: variant.apps,
      images: variant.images.map(({ reference, manifest: { digest }, config, layers }) => ({
        reference,
        manifest: digest,
        config: config.digest,
        layers: layers.map(({ diffId }) => diffId),
      })),
    },
    null,
    2,
  )}\n`;
  const signature = await sign(createHash('sha256').update(manifest).digest());
  return [
    generatedFile('store.sums', sums, 0o644, variant.epoch),
    generatedFile('store.json', manifest, 0o644, variant.epoch),
    generatedFile('store.json.sig', signatureFile(signature), 0o644, variant.epoch),
  ];
}

/** Base64 padded with newlines to a fixed size, so that the size of nothing depends on the signature. */
function signatureFile(der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64');
  if (text.length >= SIGNATURE_BYTES) {
    throw new UserError(
      'SIGNATURE_TOO_LONG',
      `a signature of ${der.length} bytes does not fit the ${SIGNATURE_BYTES} characters kept for it`,
      'Sign with an ECDSA P-256 key, as `boxship keygen` makes.',
    );
  }
  return text.padEnd(SIGNATURE_BYTES, '\n');
}

/** Lines of `sha256sum -c`; paths are bytes (see BytePath), not text. */
async function sumsOf(tree: Tree, verified: ReadonlySet<string>): Promise<Uint8Array> {
  const digests = new Map<string, Digest>();
  for (const entry of tree.entries()) {
    if (entry.type !== 'file' || !(verified.has(entry.path) || isAppFile(entry.path))) continue;
    digests.set(entry.path, await digestOf(entry));
  }
  const missing = [...verified].filter((path) => !digests.has(path));
  if (missing.length > 0)
    throw new Error(`the engine names files to verify that it does not write: ${missing.join(', ')}`);
  const lines = [...digests]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, digest]) => `${digestHex(digest)}  ${path}\n`);
  return Buffer.from(lines.join(''), 'latin1');
}

/** Everything below apps/ decides what runs. */
function isAppFile(path: string): boolean {
  return posix.normalize(path).startsWith('apps/');
}

async function digestOf(entry: TreeEntry): Promise<Digest> {
  const hash = createHash('sha256');
  if (entry.content) {
    const { source } = entry.content;
    if (!('offset' in entry.content) || entry.content.offset !== 0 || source.size !== entry.size) {
      throw new Error(`${entry.path} is not a whole source`);
    }
    for await (const chunk of source.open()) hash.update(chunk);
  }
  return `sha256:${hash.digest('hex')}`;
}
