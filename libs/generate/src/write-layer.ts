import { mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, partialPath, writeFileAtomically } from '@boxship/host';
import type { LayerChanges } from './layer-changes.ts';
import { MANIFEST } from './layer-manifest.ts';

/**
 * Brings a layer on disk to what is generated. A new layer is written aside and renamed, so that it is there whole or not at
 * all; in one that exists each file is replaced whole, the list of files last: a run that was cut short is finished by
 * the next. Files that a person changed stay, unless `overwrite`.
 */
export async function writeLayer(layer: LayerChanges, { overwrite }: { readonly overwrite: boolean }): Promise<void> {
  const { folder, manifest } = layer;
  if (layer.isNew) {
    await writeWhole(folder, [...layer.files, { path: MANIFEST, text: manifest }]);
    return;
  }
  const due = layer.changes.filter(({ action }) => overwrite || action !== 'edited');
  for (const { path, after } of due) {
    if (after !== undefined) await writeFileAtomically(join(folder, path), after);
  }
  for (const { path, after } of due) {
    if (after !== undefined) continue;
    await rm(join(folder, path), { force: true });
    await removeEmpty(folder, dirname(path));
  }
  if (layer.isManifestStale) await writeFileAtomically(join(folder, MANIFEST), manifest);
}

async function writeWhole(folder: string, files: readonly { path: string; text: string }[]): Promise<void> {
  await makeFolder(dirname(folder));
  const aside = partialPath(folder);
  try {
    await mkdir(aside);
    for (const { path, text } of files) {
      await mkdir(dirname(join(aside, path)), { recursive: true });
      await writeFile(join(aside, path), text, { mode: 0o644 });
    }
    await rename(aside, folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => {}); // the first error tells more
    throw error;
  }
}

/** Folders that hold nothing any more, up to the layer's own. */
async function removeEmpty(root: string, path: string): Promise<void> {
  for (let at = path; at !== '.'; at = dirname(at)) {
    try {
      await rmdir(join(root, at));
    } catch {
      return; // not empty
    }
  }
}
