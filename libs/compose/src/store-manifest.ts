import { createHash } from 'node:crypto';
import {
  UserError,
  digestHex,
  type ContentSource,
  type Digest,
  type Tree,
  type TreeEntry,
  type Variant,
} from '@boxship/model';
import { socketVersion } from '@boxship/device-socket';
import { generatedFile, streamedFile } from '@boxship/engines';

/** Where the signature of `store.json` lies in the store. */
export const SIGNATURE_FILE = 'store.json.sig';
/** Room for the signature inside the store: base64 of an ECDSA P-256 signature in DER (at most 72 bytes) and newlines. */
export const SIGNATURE_BYTES = 128;

/** Signs the sha256 of some bytes; the signature as DER, as `openssl dgst -verify` reads it. */
export type SignDigest = (sha256: Uint8Array) => Promise<Uint8Array>;

/**
 * What makes a store prove itself on the device: `store.sums` (sha256sum -c, a line for each of `files`: those that decide
 * what runs), `store.json` that names the sums and everything inside, and its signature, which is made when its bytes
 * are read and not before. Nothing else of it depends on the key.
 */
export async function storeManifest(variant: Variant, files: Tree, sign: SignDigest): Promise<readonly TreeEntry[]> {
  const sums = await sumsOf(files);
  const manifest = `${JSON.stringify(
    {
      kind: 'boxship-store',
      socketVersion,
      product: variant.product,
      version: variant.version,
      variant: variant.name,
      machine: variant.machine.name,
      platform: variant.machine.platform,
      engine: variant.engine.name,
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
  const digest = createHash('sha256').update(manifest).digest();
  return [
    generatedFile('store.sums', sums, 0o644, variant.epoch),
    generatedFile('store.json', manifest, 0o644, variant.epoch),
    streamedFile(SIGNATURE_FILE, signatureSource(digest, sign), 0o644, variant.epoch),
  ];
}

function signatureSource(digest: Uint8Array, sign: SignDigest): ContentSource {
  return {
    id: `signature of ${Buffer.from(digest).toString('hex')}`,
    size: SIGNATURE_BYTES,
    async *open() {
      yield Buffer.from(padSignature(await sign(digest)));
    },
  };
}

/** Base64 padded with newlines to a fixed size, so that the size of nothing depends on the signature. */
function padSignature(der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64');
  if (text.length < SIGNATURE_BYTES) return text.padEnd(SIGNATURE_BYTES, '\n');
  throw new UserError(
    'SIGNATURE_TOO_LONG',
    `a signature of ${der.length} bytes does not fit the ${SIGNATURE_BYTES} characters kept for it`,
    'Sign with an ECDSA P-256 key, as `boxship keygen` makes.',
  );
}

/** Lines of `sha256sum -c`; paths are bytes (see BytePath), not text. */
async function sumsOf(tree: Tree): Promise<Uint8Array> {
  const lines: string[] = [];
  for (const entry of tree.entries()) {
    if (entry.type === 'file') lines.push(`${digestHex(await digestOf(entry))}  ${entry.path}\n`);
  }
  const path = (line: string) => line.slice(66);
  lines.sort((a, b) => (path(a) < path(b) ? -1 : 1));
  return Buffer.from(lines.join(''), 'latin1');
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
