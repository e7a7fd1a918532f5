import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  CosignError,
  parsePublicKey,
  verifyBlob,
  verifyDigest,
  verifyStatement,
  type PublicKey,
} from 'cosign-node-binding';
import { decompressTo, findDifference, hashParts, probeCompression, streamDigests } from '@boxship/disk';
import { isSparseImage, payloadText, type Payload } from '@boxship/formats';
import { UserError, digestHex, type ByteRange, type Digest, type Problem } from '@boxship/model';
import { cosign } from './open-product.ts';
import { RELEASE_FILE, digestOfBytes, signatureNames, type Release, type ReleaseFile } from './release.ts';
import type { StoreBundle } from './store-product.ts';

/** What the document of `boxship store` ends with. */
const BUNDLE_ENDING = '.store.json';

export interface VerifiedFile {
  readonly name: string;
  readonly size: number;
  readonly digest: string;
  /** Digest of the payload: what it carries, whoever signed it. */
  readonly payload?: Digest;
}

export interface VerifiedRelease {
  readonly release?: Release;
  /** Of files that `boxship store` wrote. */
  readonly bundle?: StoreBundle;
  /** Every file whose digest and signatures were proven. */
  readonly files: readonly VerifiedFile[];
  readonly keyId: string;
}

export interface VerifyOptions {
  /** Counts bytes as they are hashed. */
  readonly onBytes?: (bytes: number) => void;
}

/** A document that names the files beside it. */
interface SignedDocument {
  readonly name: string;
  readonly files: readonly ReleaseFile[];
  readonly is: Pick<VerifiedRelease, 'release' | 'bundle'>;
}

/**
 * Proves that a folder that `compose` or `store` wrote, or one file of it, is what the holder of the key signed: release.json
 * or `<bundle>.store.json` first, then the size, digest and both signatures of every file. Everything that is wrong is told
 * at once; of an image with a block map, the byte range that differs. Errors: a UserError with one problem for each file.
 */
export async function verifyRelease(
  path: string,
  publicKeyPem: string,
  options: VerifyOptions = {},
): Promise<VerifiedRelease> {
  const info = await stat(path).catch(() => {
    throw new UserError('NOT_FOUND', `there is no ${path}`, 'Name a folder below deploy/, or a file in it.');
  });
  const key = await cosign(() => parsePublicKey(publicKeyPem));
  const folder = info.isDirectory() ? path : dirname(path);
  const only = info.isDirectory() ? undefined : basename(path);
  const problems: Problem[] = [];
  const name = await findDocument(folder);
  const document = await readSignedDocument(folder, name, key, problems, only === undefined || only === name);
  if (problems.length > 0) throw new UserError(problems); // nothing that it says can be believed

  const files: VerifiedFile[] = [];
  if (document && only === undefined) await refuseStrangers(folder, document, problems);
  if (document && only === document.name) return { ...document.is, files, keyId: key.keyId };
  const wanted: readonly FileToVerify[] = document
    ? document.files.filter((file) => only === undefined || file.name === only)
    : [{ name: only!, size: info.size }];
  if (only !== undefined && wanted.length === 0) {
    problems.push({ code: 'NOT_IN_RELEASE', message: `${name} beside ${only} does not name it` });
  }
  for (const file of wanted) {
    const digest = await verifyFile(folder, file, key, problems, options);
    const payload = file.payload?.digest;
    if (digest) files.push({ name: file.name, size: file.size, digest, ...(payload ? { payload } : {}) });
  }
  if (document && only === undefined) await verifyProvenance(folder, document.files, key, problems);
  if (problems.length > 0) throw new UserError(problems);
  return { ...document?.is, files, keyId: key.keyId };
}

/** The statement in a provenance document: signed with the key, and about these files. */
async function verifyProvenance(
  folder: string,
  files: readonly ReleaseFile[],
  key: PublicKey,
  problems: Problem[],
): Promise<void> {
  for (const { name } of files.filter(({ document }) => document === 'provenance')) {
    const text = await readIfThere(join(folder, name));
    if (!text) continue; // told already
    try {
      const { subject } = JSON.parse(verifyStatement(key, text.toString()).statement) as { subject: { name: string; digest: { sha256: string } }[] }; // prettier-ignore
      const told = files.filter(({ document }) => document === undefined).map((file) => `${file.name} ${digestHex(file.digest)}`); // prettier-ignore
      if (subject.map((one) => `${one.name} ${one.digest.sha256}`).join() === told.join()) continue;
      problems.push({ code: 'WRONG_PROVENANCE', message: `${name} speaks of other files than the release`, hint: 'Compose it again.' }); // prettier-ignore
    } catch (error) {
      if (!(error instanceof CosignError)) throw error;
      problems.push({ code: error.code, message: `${name}: ${error.message}`, ...(error.hint ? { hint: error.hint } : {}) }); // prettier-ignore
    }
  }
}

/** release.json, unless there is none and exactly one document of `boxship store`. */
async function findDocument(folder: string): Promise<string> {
  const names = await readdir(folder);
  const bundles = names.filter((name) => name.endsWith(BUNDLE_ENDING));
  return !names.includes(RELEASE_FILE) && bundles.length === 1 ? bundles[0]! : RELEASE_FILE;
}

async function readSignedDocument(
  folder: string,
  name: string,
  key: PublicKey,
  problems: Problem[],
  required: boolean,
): Promise<SignedDocument | undefined> {
  const bytes = await readIfThere(join(folder, name));
  if (!bytes) {
    if (required) {
      problems.push({
        code: 'NO_RELEASE',
        message: `${folder} has no ${RELEASE_FILE} and no ${BUNDLE_ENDING.slice(1)} of one bundle`,
        hint: 'Name the folder that boxship compose or boxship store wrote.',
      });
    }
    return undefined;
  }
  const signed = await verifySignatures(folder, name, problems, (signature) => verifyBlob(key, signature, bytes));
  if (!signed) return undefined;
  const document = JSON.parse(bytes.toString()) as Release | StoreBundle; // signed by us: the shape is ours
  if (name === RELEASE_FILE && document.kind === 'boxship-release') {
    return { name, files: document.files, is: { release: document } };
  }
  if (document.kind === 'boxship-store-bundle' && name === `${document.bundle}${BUNDLE_ENDING}`) {
    const { store, data } = document.partitions;
    return { name, files: [store.file, data.file], is: { bundle: document } };
  }
  problems.push({
    code: 'WRONG_DOCUMENT',
    message: `${name} is signed, and is a document of another name (${document.kind})`,
  });
  return undefined;
}

/** Both forms must be there and hold; a missing one could hide that somebody took it away. */
async function verifySignatures(
  folder: string,
  name: string,
  problems: Problem[],
  verify: (signature: Uint8Array) => unknown,
): Promise<boolean> {
  let good = true;
  for (const signatureName of Object.values(signatureNames(name))) {
    const signature = await readIfThere(join(folder, signatureName));
    try {
      if (!signature) throw new UserError('NO_SIGNATURE', `${name} has no signature ${signatureName}`);
      await verify(signature);
    } catch (error) {
      if (!(error instanceof CosignError || error instanceof UserError)) throw error;
      const hint = error instanceof CosignError ? error.hint : undefined;
      problems.push({ code: error.code, message: `${signatureName}: ${error.message}`, ...(hint ? { hint } : {}) });
      good = false;
    }
  }
  return good;
}

/** A file of the release, or one by itself, of which nothing but its signature speaks. */
type FileToVerify = Pick<ReleaseFile, 'name' | 'size'> & Partial<ReleaseFile>;

async function verifyFile(
  folder: string,
  file: FileToVerify,
  key: PublicKey,
  problems: Problem[],
  { onBytes }: VerifyOptions,
): Promise<string | undefined> {
  const path = join(folder, file.name);
  const size = await stat(path).then(
    (info) => info.size,
    () => undefined,
  );
  if (size === undefined) {
    problems.push({ code: 'MISSING_FILE', message: `${file.name} is missing` });
    return undefined;
  }
  if (size !== file.size) {
    problems.push({
      code: 'WRONG_SIZE',
      message: `${file.name} has ${size} bytes, the release says ${file.size}`,
      hint: size < file.size ? 'It was cut off: fetch it again.' : 'Something was appended: fetch it again.',
    });
    return undefined;
  }
  const { payload } = file;
  const unpacked = payload !== undefined && (file.unpacked !== undefined || isSparseImage(file.name));
  // of an update only the updater's own tool tells what is in it: its whole digest was signed with it
  const isUpdate = payload?.parts.some((part) => part.file !== undefined) ?? false;
  const ranges = isUpdate ? [] : (payload?.parts.map((part) => part.ranges) ?? []);
  const { digest, parts } = await hashParts(path, unpacked ? [] : ranges, onBytes);
  if (file.digest !== undefined && digest !== file.digest) {
    problems.push({
      code: 'WRONG_DIGEST',
      message: `${file.name} has the digest ${digest}, the release says ${file.digest}${await differingRange(path, file)}`,
      hint: 'The file was changed or damaged: fetch it again.',
    });
    return undefined;
  }
  if (payload) {
    const found = unpacked ? await unpackedParts(path, ranges) : parts;
    verifyPayload(file.name, payload, isUpdate ? payload.parts.map((part) => part.digest) : found, problems);
  }
  const bytes = Buffer.from(digestHex(digest), 'hex');
  const good = await verifySignatures(folder, file.name, problems, (signature) => verifyDigest(key, signature, bytes));
  return good ? digest : undefined;
}

/** Digests of ranges of what a compressed image unpacks to. */
async function unpackedParts(path: string, ranges: readonly (readonly ByteRange[])[]): Promise<readonly Digest[]> {
  const compression = await probeCompression(path);
  const digests = streamDigests(ranges);
  if (compression !== 'none') {
    await decompressTo(path, compression, (bytes) => {
      digests.add(bytes);
      return Promise.resolve();
    });
  }
  return digests.digests().parts;
}

/** What the release says of the payload, against the bytes of it and against itself. */
function verifyPayload(name: string, payload: Payload, digests: readonly Digest[], problems: Problem[]): void {
  for (const [part, { name: partName, digest }] of payload.parts.entries()) {
    if (digests[part] === digest) continue;
    problems.push({
      code: 'WRONG_PAYLOAD',
      message: `${name}: the payload "${partName}" has the digest ${digests[part]}, the release says ${digest}`,
      hint: 'The release contradicts itself: compose it again.',
    });
  }
  const digest = digestOfBytes(payloadText(payload));
  if (digest === payload.digest) return;
  problems.push({
    code: 'WRONG_PAYLOAD',
    message: `${name}: the payload has the digest ${digest}, the release says ${payload.digest}`,
    hint: 'The release contradicts itself: compose it again.',
  });
}

/** Where an image differs from what was signed, to one step of its checkpoints. */
async function differingRange(path: string, { size, checkpoints }: FileToVerify): Promise<string> {
  if (!checkpoints) return '';
  const last = { start: checkpoints.step * checkpoints.sha256.length, end: size };
  const { start, end } = (await findDifference(path, checkpoints)) ?? last;
  return `; the first difference is in bytes ${start}..${end - 1} of ${size}`;
}

/** A folder that says "verified" must hold nothing that nobody signed. */
async function refuseStrangers(folder: string, document: SignedDocument, problems: Problem[]): Promise<void> {
  const names = [document.name, ...document.files.map(({ name }) => name)];
  const known = new Set(names.flatMap((name) => [name, ...Object.values(signatureNames(name))]));
  for (const name of await readdir(folder)) {
    if (known.has(name)) continue;
    problems.push({
      code: 'STRANGE_FILE',
      message: `${name} is not part of the release`,
      hint: 'Take it out of the folder.',
    });
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
}
