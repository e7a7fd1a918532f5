import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isLeftover, makeFolder, partialPath } from '@boxship/host';

/** A partial file of another machine or container is left alone for this long, because it may still be growing. */
const FOREIGN_AGE = 3600 * 1000;

/** Partial files that this process gave up and may take up again. */
const abandoned = new Set<string>();

/**
 * The path to write the blob `file` at before it is complete: what a killed or failed run left of it, renamed to be ours
 * alone, or a new path. Names end in `.partial`, so that sweeping the cache finds them.
 */
export async function claimPartial(file: string): Promise<string> {
  await makeFolder(dirname(file));
  const mine = partialPath(file);
  const prefix = `.${file.slice(dirname(file).length + 1)}.`;
  for (const name of await readdir(dirname(file))) {
    const path = join(dirname(file), name);
    if (!name.startsWith(prefix) || !(abandoned.has(path) || (await isLeftover(path, FOREIGN_AGE)))) continue;
    try {
      await rename(path, mine); // only one of several runs gets it
      abandoned.delete(path);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return mine;
}

/** Keeps a partial file for the next try. */
export function leavePartial(path: string): void {
  abandoned.add(path);
}

export async function removePartial(path: string): Promise<void> {
  await rm(path, { force: true });
}
