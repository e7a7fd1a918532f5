import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '@boxship/model';
import type { LayerFile } from './layer-files.ts';

/** Name of the list of generated files in the layer; it is none of them. */
export const MANIFEST = 'boxship-layer.json';

/** What a run before generated: digests by path, 64 hex digits. */
export type LayerManifest = Readonly<Record<string, string>>;

export function manifestText(release: string, files: readonly LayerFile[]): string {
  const digests = Object.fromEntries(files.map(({ path, text }) => [path, sha256(text)]));
  return `${JSON.stringify({ layerVersion: 1, release, files: digests }, null, 2)}\n`;
}

/** The list in `folder`, or undefined when there is none. Errors: BAD_LAYER_MANIFEST. */
export async function readManifest(folder: string): Promise<LayerManifest | undefined> {
  const path = join(folder, MANIFEST);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return undefined;
  });
  if (text === undefined) return undefined;
  try {
    const { layerVersion, files } = JSON.parse(text) as { layerVersion?: unknown; files?: LayerManifest };
    if (layerVersion === 1 && isManifest(files)) return files;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError(
    'BAD_LAYER_MANIFEST',
    `${path} is not the list of generated files`,
    'Bring it back from version control, or remove the folder and generate it again.',
  );
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Paths lead to files below the layer, nowhere else. */
function isManifest(files: unknown): files is LayerManifest {
  if (typeof files !== 'object' || files === null) return false;
  return Object.entries(files).every(
    ([path, digest]) =>
      /^[0-9a-f]{64}$/.test(String(digest)) && path.split('/').every((part) => !['', '.', '..'].includes(part)),
  );
}
