import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embeddedFiles } from './embedded-files.ts';

const inside: Readonly<Record<string, string>> | undefined = embeddedFiles;

/** Root of the repository, when Boxship runs from its sources. */
function sourceRoot(): string {
  return fileURLToPath(new URL('../../../', import.meta.url));
}

/** Text of a file that ships with Boxship, by its path from the root of the repository: `templates/…`, `recipes/…`. */
export function readAssetFile(path: string): string {
  if (inside === undefined) return readFileSync(join(sourceRoot(), path), 'utf8');
  if (Object.hasOwn(inside, path)) return inside[path]!;
  throw new Error(`boxship was built without ${path}`);
}

/** Paths, from the root of the repository and sorted, of all files below such a folder. */
export function listAssetFiles(folder: string): readonly string[] {
  if (inside !== undefined) return Object.keys(inside).filter((path) => path.startsWith(`${folder}/`));
  const root = sourceRoot();
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}
