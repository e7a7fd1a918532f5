import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { testCacheRoot } from '../../tools/setup/debian-tools.mjs';

export { testCacheRoot };

/** A name for what is made from `files` and `facts`: equal contents, equal key. */
export function contentKey(files, facts = {}) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${readFileSync(file).length}\n`).update(readFileSync(file));
  return hash.update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/**
 * The file or folder `<test cache>/<kind>/<name>`, made by `make(path)` when it is not there. It appears by a rename: what
 * a killed run leaves is never taken for whole, and of two runs at once one wins. Others of this kind that were not used
 * for 14 days are removed.
 */
export async function cached(kind, name, make) {
  const folder = join(testCacheRoot(), kind);
  const path = join(folder, name);
  if (existsSync(path)) {
    const now = new Date();
    utimesSync(path, now, now);
    return path;
  }
  mkdirSync(folder, { recursive: true });
  sweep(folder);
  const aside = join(folder, `.${name}.${process.pid}.partial`);
  try {
    await make(aside);
    if (!existsSync(path)) renameSync(aside, path);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return path;
}

const DAY = 24 * 3600 * 1000;

function sweep(folder) {
  for (const name of readdirSync(folder)) {
    const age = Date.now() - statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
    if (age > (name.endsWith('.partial') ? DAY : 14 * DAY))
      rmSync(join(folder, name), { recursive: true, force: true });
  }
}
