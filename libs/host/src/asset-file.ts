import { readFileSync } from 'node:fs';
import { embeddedFiles } from './embedded-files.ts';

/** Text of a file that ships with Boxship, by its path from the root of the repository: `templates/…`, `recipes/…`. */
export function readAssetFile(path: string): string {
  const files: Readonly<Record<string, string>> | undefined = embeddedFiles;
  if (files === undefined) return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
  if (Object.hasOwn(files, path)) return files[path]!;
  throw new Error(`boxship was built without ${path}`);
}
