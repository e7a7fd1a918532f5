import { constants } from 'node:fs';
import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cache } from '@boxship/host';
import { UserError, type Descriptor, type Digest } from '@boxship/model';
import { fetchBlob } from './blob-cache.ts';
import type { ImageSource } from './image-source.ts';
import type { Manifest, ManifestLayer } from './manifest.ts';
import { familiarName, type Reference } from './reference.ts';

export interface PulledArtifact {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

/** The artifact that `reference` names. Errors: BAD_ARTIFACT for one of another type, and those of the source. */
export async function findArtifact(
  source: ImageSource,
  reference: Reference,
  artifactType: string,
  signal?: AbortSignal,
): Promise<PulledArtifact> {
  const { document, descriptor } = await source.find(reference, signal, 'artifact');
  const name = familiarName(reference);
  if (document.kind !== 'manifest' || !descriptor) throw badArtifact(`${name} is an index`);
  if (document.artifactType === artifactType) return { descriptor, manifest: document };
  throw badArtifact(
    `${name} is of the type ${document.artifactType ?? document.config.mediaType}, not ${artifactType}`,
  );
}

/** The artifacts of a type that refer to `subject`. */
export async function findReferrers(
  source: ImageSource,
  reference: Reference,
  subject: Digest,
  artifactType: string,
  signal?: AbortSignal,
): Promise<readonly PulledArtifact[]> {
  const found: PulledArtifact[] = [];
  for (const digest of (await source.referrers?.(reference, subject, artifactType, signal)) ?? []) {
    const { registry, repository } = reference;
    const one = await findArtifact(source, { registry, repository, digest }, artifactType, signal);
    if (one.manifest.subject === subject) found.push(one); // an index can say anything
  }
  return found;
}

export interface PullOptions {
  readonly cache: Cache;
  readonly signal?: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

/**
 * Writes the files of an artifact into `folder`, each with the name that its layer has. A download that broke off is taken up
 * where it ended, in a later run too; digests are verified. Errors: UNSAFE_NAME, those of `fetchBlob`.
 */
export async function pullFiles(
  source: ImageSource,
  reference: Reference,
  { manifest }: PulledArtifact,
  folder: string,
  { cache, ...options }: PullOptions,
): Promise<readonly string[]> {
  const names = manifest.layers.map((layer) => safeName(layer, reference));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw unsafe(`${familiarName(reference)} has two files "${twice}"`);
  for (const [index, blob] of manifest.layers.entries()) {
    const path = await fetchBlob(source, reference, blob, cache, options);
    const file = join(folder, names[index]!);
    await copyFile(path, file, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(file, 0o644);
  }
  return names;
}

/** A name that stays in its folder and is not hidden. */
function safeName({ title, digest }: ManifestLayer, reference: Reference): string {
  if (title === undefined) throw unsafe(`a file of ${familiarName(reference)} has no name (${digest})`);
  if (/^[A-Za-z0-9_+~-][A-Za-z0-9._+~-]{0,250}$/.test(title)) return title;
  throw unsafe(`${familiarName(reference)} has a file named ${JSON.stringify(title.slice(0, 100))}`);
}

function unsafe(message: string): UserError {
  return new UserError('UNSAFE_NAME', message, 'It was not pushed by boxship push.');
}

function badArtifact(message: string): UserError {
  return new UserError('BAD_ARTIFACT', message, 'Name what boxship push has pushed.');
}
