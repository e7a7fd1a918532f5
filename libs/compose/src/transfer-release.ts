import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hashFile } from '@boxship/disk';
import { makeFolder, partialPath, type Cache, type Progress } from '@boxship/host';
import { UserError, type Descriptor } from '@boxship/model';
import {
  findArtifact,
  findReferrers,
  formatReference,
  pullFiles,
  pushArtifact,
  type ArtifactTarget,
  type FileToPush,
  type ImageSource,
  type PulledArtifact,
  type Reference,
} from '@boxship/oci';
import { putInPlace, refuseFile, removeLeftoversOf } from './release-folder.ts';
import { documentForms } from './release-documents.ts';
import { RELEASE_FILE, signatureNames, type Release } from './release.ts';
import { verifyRelease, type VerifiedRelease } from './verify-release.ts';

/** Type of the artifact that a release is on a registry: its files, release.json first. */
export const RELEASE_TYPE = 'application/vnd.boxship.release.v1';
/** Of the artifact that refers to it: the signatures of its files. */
export const SIGNATURES_TYPE = 'application/vnd.boxship.signatures.v1';

const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export interface TransferOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

export interface PushedRelease {
  readonly release: Release;
  readonly artifact: Descriptor;
  readonly signatures: Descriptor;
}

/**
 * Pushes a release, verified with the key first: its files as one artifact that is named `tag`, their signatures as one that
 * refers to it. What is there already is not sent again; the name appears last. Errors: those of `verifyRelease` and of the
 * target.
 */
export async function pushRelease(
  folder: string,
  publicKeyPem: string,
  target: ArtifactTarget,
  tag: string,
  { progress, signal }: TransferOptions,
): Promise<PushedRelease> {
  const release = await verified(folder, publicKeyPem, progress);
  const { variant, files } = release;
  const toPush = async (name: string, mediaType: string): Promise<FileToPush> => {
    const path = join(folder, name);
    return { mediaType, ...(await hashFile(path)), path, title: name };
  };
  const content: FileToPush[] = [await toPush(RELEASE_FILE, 'application/vnd.boxship.release.v1+json')];
  for (const { name, size, digest } of files) {
    content.push({ mediaType: 'application/octet-stream', size, digest, path: join(folder, name), title: name });
  }
  const signatures: FileToPush[] = [];
  for (const name of [RELEASE_FILE, ...files.map((file) => file.name)]) {
    const { bundle, raw } = signatureNames(name);
    signatures.push(await toPush(bundle, BUNDLE_TYPE));
    if (raw !== undefined) signatures.push(await toPush(raw, 'application/octet-stream'));
  }
  const total = [...content, ...signatures].reduce((sum, { size }) => sum + size, 0);
  const step = progress.start(`pushing to ${target.name}`, total);
  const options = { onBytes: (count: number) => step.advance(count), ...(signal ? { signal } : {}) };
  try {
    const annotations = {
      'org.opencontainers.image.title': `${variant.product} ${variant.version}, ${variant.machine.name}, ${variant.name}`,
      'org.opencontainers.image.version': variant.version,
      'org.opencontainers.image.created': new Date(variant.epoch * 1000).toISOString().replace('.000Z', 'Z'),
    };
    // the signatures come before the name: who finds the release finds them
    const artifact = await pushArtifact(target, { artifactType: RELEASE_TYPE, files: content, annotations }, options);
    const referring = await pushArtifact(
      target,
      { artifactType: SIGNATURES_TYPE, files: signatures, subject: artifact },
      options,
    );
    // the documents are files of the release; as referrers they are found by those who look for an SBOM
    for (const { document, ...file } of files) {
      if (document === undefined) continue;
      const { mediaType } = documentForms[document];
      const asReferrer: FileToPush = { mediaType, size: file.size, digest: file.digest, path: join(folder, file.name), title: file.name }; // prettier-ignore
      await pushArtifact(target, { artifactType: mediaType, files: [asReferrer], subject: artifact }, signal ? { signal } : {}); // prettier-ignore
    }
    await pushArtifact(
      target,
      { artifactType: RELEASE_TYPE, files: content, annotations, tag },
      signal ? { signal } : {},
    );
    return { release, artifact, signatures: referring };
  } finally {
    step.end();
  }
}

/**
 * Pulls what `pushRelease` pushed into `folder`, which appears whole and verified with the key, or not at all. An interrupted
 * pull goes on where it ended. Errors: BAD_ARTIFACT, UNSAFE_NAME, NO_SIGNATURES, those of `verifyRelease` and of the source.
 */
export async function pullRelease(
  source: ImageSource,
  reference: Reference,
  folder: string,
  publicKeyPem: string,
  { cache, progress, signal }: TransferOptions,
): Promise<{ readonly release: Release; readonly artifact: Descriptor }> {
  const target = resolve(folder);
  await refuseStrangeFolder(target);
  const stop = signal ? { signal } : {};
  const artifact = await findArtifact(source, reference, RELEASE_TYPE, signal);
  const referrers = await findReferrers(source, reference, artifact.descriptor.digest, SIGNATURES_TYPE, signal);
  if (referrers.length === 0) {
    throw new UserError(
      'NO_SIGNATURES',
      `${formatReference(reference)} has no signatures beside it, so nobody can tell whose it is`,
      'Push it again with boxship push; a copy must take the referrers along (oras copy -r).',
    );
  }
  const all = [artifact, ...referrers];
  const total = all.flatMap(({ manifest }) => manifest.layers).reduce((sum, { size }) => sum + size, 0);
  const step = progress.start(`pulling ${formatReference(reference)}`, total);
  const staging = partialPath(target);
  try {
    await removeLeftoversOf(target);
    await makeFolder(staging);
    const options = { cache, onBytes: (count: number) => step.advance(count), ...stop };
    await pullFiles(source, reference, artifact, staging, options);
    const release = await withSignatures(staging, referrers, publicKeyPem, progress, (one) =>
      pullFiles(source, reference, one, staging, options),
    );
    await putInPlace(staging, target);
    return { release, artifact: artifact.descriptor };
  } finally {
    step.end();
    await rm(staging, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Several keys may have signed one release: the signatures that hold are taken. */
async function withSignatures(
  folder: string,
  referrers: readonly PulledArtifact[],
  publicKeyPem: string,
  progress: Progress,
  pull: (signatures: PulledArtifact) => Promise<readonly string[]>,
): Promise<Release> {
  let refused: unknown;
  for (const signatures of referrers) {
    const names = await pull(signatures);
    try {
      return await verified(folder, publicKeyPem, progress);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      refused ??= error;
      for (const name of names) await rm(join(folder, name));
    }
  }
  throw refused;
}

async function verified(folder: string, publicKeyPem: string, progress: Progress): Promise<Release> {
  const step = progress.start(`verifying ${folder}`);
  try {
    const { release }: VerifiedRelease = await verifyRelease(folder, publicKeyPem, { onBytes: (bytes) => step.advance(bytes) }); // prettier-ignore
    return release!; // a folder without one is refused
  } finally {
    step.end();
  }
}

/** A release that is there is replaced; a folder with other things is somebody's. Errors: OUTPUT_TAKEN. */
async function refuseStrangeFolder(folder: string): Promise<void> {
  await refuseFile(folder);
  const names = await readdir(folder).catch((): string[] => []);
  if (names.length === 0 || names.includes(RELEASE_FILE)) return;
  throw new UserError('OUTPUT_TAKEN', `${folder} holds other files, and no release`, 'Name a new folder.');
}
