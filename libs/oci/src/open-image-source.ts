import { resolve } from 'node:path';
import { UserError } from '@boxship/model';
import type { Cache } from '@boxship/host';
import { archivedNames, dockerArchiveSource } from './docker-archive.ts';
import { openFolder } from './file-set.ts';
import type { ImageSource } from './image-source.ts';
import { ociLayoutSource } from './oci-layout.ts';
import { openTarArchive } from './tar-archive.ts';

/** Where images come from when it is no registry: `oci:DIR[:name]`, `oci-archive:FILE[:name]`, `docker-archive:FILE[:name]`. */
export interface LocalImages {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
  readonly path: string;
  /** Name of the image among several. */
  readonly name?: string;
}

/** Reads the words after `from:`. Errors: BAD_IMAGE_SOURCE. */
export function parseLocalImages(text: string): LocalImages {
  const match = /^(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?$/.exec(text);
  if (!match) {
    throw new UserError(
      'BAD_IMAGE_SOURCE',
      `"${text}" does not say where an image is`,
      'Write oci:DIR[:name], oci-archive:FILE[:name] or docker-archive:FILE[:name].',
    );
  }
  const [, kind, path, name] = match;
  return { kind: kind as LocalImages['kind'], path: path!, ...(name === undefined ? {} : { name }) };
}

export interface OpenImagesOptions {
  /** Relative paths start here. Default: the current folder. */
  readonly folder?: string;
  /** Takes the inflated form of `.tar.gz` archives. */
  readonly cache: Cache;
}

/**
 * The layout or archive that `text` names, open until `close`.
 * Errors: BAD_IMAGE_SOURCE, BAD_LAYOUT, BAD_ARCHIVE, IMAGE_UNREADABLE.
 */
export async function openLocalImages(text: string, { folder = '.', cache }: OpenImagesOptions): Promise<ImageSource> {
  const { kind, path, name } = parseLocalImages(text);
  const shown = `${kind}:${path}`;
  const absolute = resolve(folder, path);
  if (kind === 'oci') return await ociLayoutSource(openFolder(absolute, shown), name);
  const files = await openTarArchive(absolute, shown, cache);
  try {
    return kind === 'oci-archive' ? await ociLayoutSource(files, name) : await dockerArchiveSource(files, name);
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** Names of the images that an archive of `docker save` holds. Errors: BAD_ARCHIVE, IMAGE_UNREADABLE. */
export async function listArchivedImages(path: string, cache: Cache): Promise<readonly string[]> {
  const files = await openTarArchive(path, `docker-archive:${path}`, cache);
  try {
    return await archivedNames(files);
  } finally {
    await files.close();
  }
}
