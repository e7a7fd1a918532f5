import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CosignError, parsePublicKey, verifyBlob } from 'cosign-node-binding';
import { MiB, UserError } from '@boxship/model';
import type { InspectedRelease, Inspection, SignatureState } from './inspection.ts';
import { isObject, objectsIn, parseObject, textIn, type JsonObject } from './json-document.ts';

const RELEASE = 'release.json';
const STORE_BUNDLE = /\.store\.json$/;
const DOCUMENT_MAX = 64 * MiB;

/** The document that speaks for a folder that `compose` or `store` wrote, or for itself; undefined when there is none. */
export async function findReleaseDocument(path: string): Promise<string | undefined> {
  const info = await stat(path);
  if (info.isFile()) return basename(path) === RELEASE || STORE_BUNDLE.test(path) ? path : undefined;
  const names = await readdir(path);
  if (names.includes(RELEASE)) return join(path, RELEASE);
  const bundles = names.filter((name) => STORE_BUNDLE.test(name));
  if (bundles.length > 1) {
    throw new UserError('SEVERAL_BUNDLES', `${path} holds ${bundles.length} stores: ${bundles.sort().join(', ')}`, 'Name one of these files.'); // prettier-ignore
  }
  return bundles[0] === undefined ? undefined : join(path, bundles[0]);
}

/** What release.json, or the document of a store, says of the files beside it. Digests are for `boxship verify`. */
export async function inspectRelease(document: string, publicKeyPem: string | undefined): Promise<Inspection> {
  const { size } = await stat(document);
  if (size > DOCUMENT_MAX) throw new UserError('BAD_DOCUMENT', `${document} has ${size} bytes: it is none of ours`);
  const bytes = await readFile(document);
  const isRelease = basename(document) === RELEASE;
  const object = parseObject(bytes, document, isRelease ? 'boxship-release' : 'boxship-store-bundle');
  const partitions = object['partitions'];
  const named = isRelease
    ? objectsIn(object, 'files')
    : Object.values(isObject(partitions) ? partitions : {}).flatMap((one) => (isObject(one) && isObject(one['file']) ? [one['file']] : [])); // prettier-ignore
  const files: InspectedRelease['files'][number][] = [];
  for (const file of named) files.push(await lookAt(dirname(document), file));
  const variant = isObject(object['variant']) ? object['variant'] : {};
  const of = (key: string) => (isObject(variant[key]) ? textIn(variant[key], 'name') : undefined);
  const machine = of('machine');
  const engine = of('engine');
  return {
    inspectVersion: 1,
    path: document,
    kind: isRelease ? 'release' : 'store-bundle',
    format: isRelease ? 'release' : 'store',
    release: {
      signature: await signatureOf(document, bytes, publicKeyPem),
      development: object['development'] === true,
      product: textIn(variant, 'product'),
      version: textIn(variant, 'version'),
      variant: textIn(variant, 'name'),
      ...(machine === undefined ? {} : { machine }),
      ...(engine === undefined ? {} : { engine }),
      apps: objectsIn(variant, 'apps').map((app) => textIn(app, 'name')),
      images: objectsIn(variant, 'images').map((image) => ({
        reference: textIn(image, 'reference'),
        manifest: isObject(image['manifest']) ? textIn(image['manifest'], 'digest') : '',
      })),
      files,
    },
    problems: [],
  };
}

/** Whether the file is there with the size that the document says. A name that leaves the folder is not looked at. */
async function lookAt(folder: string, file: JsonObject): Promise<InspectedRelease['files'][number]> {
  const name = textIn(file, 'name');
  const size = Number(file['size']);
  const found = basename(name) === name ? await stat(join(folder, name)).catch(() => undefined) : undefined;
  const state = found === undefined ? 'absent' : found.size === size ? 'there' : 'wrong size';
  return { name, size, digest: textIn(file, 'digest'), state };
}

/** The sigstore bundle beside the document, as cosign writes and verifies it. */
async function signatureOf(
  document: string,
  bytes: Uint8Array,
  publicKeyPem: string | undefined,
): Promise<SignatureState> {
  const signature = await readFile(`${document}.sigstore.json`).catch(() => undefined);
  if (!signature) return 'missing';
  if (publicKeyPem === undefined) return 'unchecked';
  try {
    await verifyBlob(parsePublicKey(publicKeyPem), signature, bytes);
    return 'ok';
  } catch (error) {
    if (error instanceof CosignError) return 'bad';
    throw error;
  }
}
