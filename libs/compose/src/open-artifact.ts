import { join, dirname, resolve } from 'node:path';
import { stat } from 'node:fs/promises';
import { socketVersion } from '@boxship/device-socket';
import { engines } from '@boxship/engines';
import { openExt4 } from '@boxship/filesystem';
import {
  artifactFormats,
  baseImageFormats,
  type ArtifactExchange,
  type ArtifactFormat,
  type BaseImage,
  type BaseImageFormat,
  type OwnParts,
} from '@boxship/formats';
import { UserError, parseDigest, pick, type RandomReader } from '@boxship/model';
import type { OpenProduct } from './open-product.ts';
import type { Release, ReleaseFile } from './release.ts';
import { verifyRelease } from './verify-release.ts';

/** An artifact that was made before, verified and open. */
export interface OpenArtifact extends AsyncDisposable {
  /** Absolute. */
  readonly folder: string;
  readonly file: ReleaseFile;
  readonly release: Release;
  readonly format: ArtifactFormat;
  /** Of that format. */
  readonly exchange: ArtifactExchange;
  readonly image: BaseImage;
  readonly own: OwnParts;
  readonly store: StoreFacts;
}

/** What a store says of itself. */
export interface StoreFacts {
  /** The device socket that it needs. */
  readonly socketVersion: number;
  readonly engine: string;
}

/**
 * Opens a release, or one file of it, to exchange a half of it; its signatures are verified with the key first.
 * Errors: those of `verifyRelease`; NO_RELEASE, NOT_EXCHANGEABLE, NO_STORE, STORE_UNREADABLE, STORE_TOO_NEW, UNKNOWN_ENGINE.
 */
export async function openArtifact(
  path: string,
  publicKeyPem: string,
  { cache, progress }: Pick<OpenProduct, 'cache' | 'progress'>,
): Promise<OpenArtifact> {
  const step = progress.start(`verifying ${path}`);
  const verified = await verifyRelease(path, publicKeyPem, { onBytes: (bytes) => step.advance(bytes) }).finally(() =>
    step.end(),
  );
  const { release } = verified;
  if (!release) {
    throw new UserError(
      'NO_RELEASE',
      `there is no release.json beside ${path}: what it was made of is not known`,
      'Give the folder that boxship compose wrote, or a file in it.',
    );
  }
  const folder = resolve((await stat(path)).isDirectory() ? path : dirname(path));
  const found = await findExchangeable(folder, release, new Set(verified.files.map(({ name }) => name)));
  const digestOf = () => Promise.resolve(found.file.digest);
  const image = await found.base.read(join(folder, found.file.name), { cache, progress, digestOf });
  try {
    const own = await found.exchange.findOwn(image);
    const store = await readStoreFacts(own.store);
    return { folder, ...found, release, image, own, store, [Symbol.asyncDispose]: () => image.close() };
  } catch (error) {
    await image.close();
    throw error;
  }
}

/** The file to work on: of several forms of one image, the one that has not to be unpacked first. */
async function findExchangeable(
  folder: string,
  release: Release,
  verified: ReadonlySet<string>,
): Promise<Pick<OpenArtifact, 'file' | 'format' | 'exchange'> & { readonly base: BaseImageFormat }> {
  const formats: Readonly<Record<string, ArtifactFormat>> = artifactFormats;
  const files = release.files
    .filter(({ name }) => verified.has(name))
    .sort((a, b) => Number(a.unpacked !== undefined) - Number(b.unpacked !== undefined));
  for (const file of files) {
    for (const base of Object.values<BaseImageFormat>(baseImageFormats)) {
      const format = Object.hasOwn(formats, base.name) ? formats[base.name] : undefined;
      if (!format?.exchange || !(await base.probe(join(folder, file.name)))) continue;
      return { file, format, exchange: format.exchange, base };
    }
  }
  const able = Object.values<ArtifactFormat>(artifactFormats).filter(({ exchange }) => exchange);
  throw new UserError(
    'NOT_EXCHANGEABLE',
    `${folder} holds no artifact whose halves can be exchanged: ${files.map(({ name }) => name).join(', ')}`,
    `Such are: ${able.map(({ name }) => name).join(', ')}.`,
  );
}

/** store.json in the store partition; the whole of it is as trustworthy as the artifact. */
async function readStoreFacts(partition: RandomReader): Promise<StoreFacts> {
  const unreadable = (why: string) =>
    new UserError('STORE_UNREADABLE', `the store of the artifact cannot be read: ${why}`, 'Compose the image anew.');
  const text = await openExt4(partition)
    .then((files) => files.readText('store.json'))
    .catch((error: unknown) => {
      if (error instanceof UserError) throw unreadable(error.message);
      throw error;
    });
  if (text === undefined) throw unreadable('it has no store.json');
  const { kind, socketVersion: needed, engine } = parseObject(text) ?? {};
  if (kind !== 'boxship-store' || !Number.isSafeInteger(needed) || typeof engine !== 'string') {
    throw unreadable('its store.json is not one of ours');
  }
  pick('engine', engines, engine); // one that we do not know was put there by a newer Boxship
  if ((needed as number) > socketVersion) {
    throw new UserError(
      'STORE_TOO_NEW',
      `the store of the artifact is made for device socket ${needed as number}; this Boxship knows ${socketVersion}`,
      'Use a newer Boxship.',
    );
  }
  return { socketVersion: needed as number, engine };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The digest of the release.json that an artifact came with, for the one that follows. */
export function originOf({ release, file }: OpenArtifact): {
  readonly version: string;
  readonly file: ReleaseFile['digest'];
} {
  return { version: release.variant.version, file: parseDigest(file.digest) };
}
