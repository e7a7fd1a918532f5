import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cache, Progress } from '@boxship/host';
import { UserError, type Digest, type Problem } from '@boxship/model';
import { parseImageJson, type CheckedImageJson } from './image-json.ts';
import { IMAGE_JSON, openTeziFolder, readImageText } from './tezi-folder.ts';

/** A file of the vendor beside image.json. */
export interface TeziFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly size: number;
}

/** An image for Toradex Easy Installer: its image.json, checked, and the files beside it. */
export interface TeziImage extends CheckedImageJson {
  /** Folder on this host; nobody may write to it. */
  readonly folder: string;
  /** Every file of the vendor but image.json, named there or not, sorted by name. */
  readonly files: readonly TeziFile[];
}

export interface ReadTeziOptions {
  readonly cache: Cache;
  /** Of the archive; not asked for when it is a folder. */
  readonly digest: () => Promise<Digest>;
  readonly progress?: Progress;
}

/**
 * Opens the image at `path`: a folder, or an archive, which is unpacked into the cache once. Every file that image.json
 * names must be there. Errors: those of the archive and of `parseImageJson`; TEZI_FILE_MISSING for each, with its place.
 */
export async function readTeziImage(path: string, options: ReadTeziOptions): Promise<TeziImage> {
  const folder = await openTeziFolder(path, options);
  const image = parseImageJson(join(folder.path, IMAGE_JSON), await readImageText(folder));
  const known = new Set(folder.names);
  const missing = image.namedFiles
    .filter(({ name }) => !known.has(name))
    .map(({ name, path: place }): Problem => ({
      code: 'TEZI_FILE_MISSING',
      message: `image.json names ${name}, which is not beside it`,
      hint: 'Fetch the whole image again.',
      where: image.locate(place),
    }));
  if (missing.length > 0) throw new UserError(missing);
  const files: TeziFile[] = [];
  for (const name of folder.names) {
    if (name !== IMAGE_JSON) files.push({ name, size: (await stat(join(folder.path, name))).size });
  }
  return { ...image, folder: folder.path, files };
}
