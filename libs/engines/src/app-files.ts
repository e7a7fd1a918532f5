import type { App, Tree, TreeEntry } from '@boxship/model';
import { directory, generatedFile } from './entries.ts';

/** Bytes of a path as the string of a `BytePath`: one character for each byte of its UTF-8. */
export function bytePath(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1');
}

/** The Compose file and the files that an app brings along, below `apps/<app>/` of the store partition. */
export function appFileEntries(app: App, epoch: number): readonly TreeEntry[] {
  return [
    ...(app.native
      ? []
      : [generatedFile(`apps/${app.name}/${bytePath(app.composeFile)}`, app.composeBytes, 0o644, epoch)]),
    ...app.files.map((file) => generatedFile(`apps/${app.name}/${bytePath(file.path)}`, file.bytes, file.mode, epoch)),
  ];
}

/** A tree of the given entries and the directories above them, sorted by path. */
export function treeOf(files: readonly TreeEntry[], epoch: number): Tree {
  const entries = new Map<string, TreeEntry>();
  for (const file of files) {
    const parts = file.path.split('/');
    for (let length = 1; length < parts.length; length++) {
      const path = parts.slice(0, length).join('/');
      if (!entries.has(path)) entries.set(path, directory(path, 0o755, epoch));
    }
    if (entries.has(file.path)) throw new Error(`two entries at ${file.path}`);
    entries.set(file.path, file);
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries: () => sorted };
}
