import { lstat, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { UserError } from '@boxship/model';
import type { LayerFile } from './layer-files.ts';
import { MANIFEST, manifestText, readManifest, sha256 } from './layer-manifest.ts';

/** What generating does to one file of a layer. */
export interface LayerChange {
  /** Path below the layer. */
  readonly path: string;
  /**
   * `create`, `update` and `remove` are what generating does to its own files. `edited`: a person changed the file, or put
   * one in its place; it is kept unless told otherwise.
   */
  readonly action: 'create' | 'update' | 'remove' | 'edited';
  /** What is there, where something is. */
  readonly before?: string;
  /** What is generated; absent when the file is generated no more. */
  readonly after?: string;
}

export interface LayerChanges {
  /** Name of the layer, `meta-acme`. */
  readonly layer: string;
  /** Its folder. */
  readonly folder: string;
  /** The folder does not exist yet. */
  readonly isNew: boolean;
  /** In the order of their paths; files that are as they should be are left out. */
  readonly changes: readonly LayerChange[];
  readonly files: readonly LayerFile[];
  readonly manifest: string;
  /** The list of generated files must be written. */
  readonly isManifestStale: boolean;
}

/**
 * Compares a layer on disk with what is generated; files that nobody generated are none of our business. Nothing is
 * written. Errors: FOREIGN_FOLDER for a folder that holds files and was not made by us, BAD_LAYER_MANIFEST.
 */
export async function compareLayer(
  layer: string,
  folder: string,
  release: string,
  files: readonly LayerFile[],
): Promise<LayerChanges> {
  const manifest = manifestText(release, files);
  const present = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') throw foreign(folder, 'it is no folder');
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  const earlier = await readManifest(folder);
  if (!earlier && present && present.length > 0) throw foreign(folder, `it holds ${present.slice(0, 3).join(', ')}`);
  const changes: LayerChange[] = [];
  const generated = new Map(files.map(({ path, text }) => [path, text]));
  for (const [path, after] of generated) {
    const before = await readText(join(folder, path));
    if (before === undefined) changes.push({ path, action: 'create', after });
    else if (before !== after) {
      const isOurs = earlier !== undefined && Object.hasOwn(earlier, path) && earlier[path] === sha256(before);
      changes.push({ path, action: isOurs ? 'update' : 'edited', before, after });
    }
  }
  for (const [path, digest] of Object.entries(earlier ?? {})) {
    if (generated.has(path)) continue;
    const before = await readText(join(folder, path));
    if (before !== undefined) changes.push({ path, action: digest === sha256(before) ? 'remove' : 'edited', before });
  }
  changes.sort((a, b) => (a.path < b.path ? -1 : 1));
  const isManifestStale = (await readText(join(folder, MANIFEST))) !== manifest;
  return { layer, folder, isNew: present === undefined, changes, files, manifest, isManifestStale };
}

/** The changes as `diff -u` shows them. */
export function formatChanges({ layer, changes }: LayerChanges): string {
  return changes
    .map(({ path, before, after }) =>
      createTwoFilesPatch(
        before === undefined ? '/dev/null' : `a/${layer}/${path}`,
        after === undefined ? '/dev/null' : `b/${layer}/${path}`,
        before ?? '',
        after ?? '',
      ).replace(/^=+\n/, ''),
    )
    .join('');
}

/** Text of a regular file, or undefined when there is none. Errors: FOREIGN_FOLDER for anything else in its place. */
async function readText(path: string): Promise<string | undefined> {
  const info = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return undefined;
  });
  if (!info) return undefined;
  if (!info.isFile()) throw foreign(path, 'it is no regular file');
  return await readFile(path, 'utf8');
}

function foreign(path: string, why: string): UserError {
  return new UserError(
    'FOREIGN_FOLDER',
    `${path} was not made by boxship layer: ${why}`,
    'Name another folder with --out, or move away what is there.',
  );
}
