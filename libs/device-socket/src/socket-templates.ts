import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Contents of the template files by their path below `templates/device-socket/`. */
export type SocketTemplates = Readonly<Record<string, string>>;

/** In the bundled program, esbuild's `define` puts the templates in its place; in the workspace there is none. */
declare const BOXSHIP_SOCKET_TEMPLATES: SocketTemplates | undefined;

/** The templates: those inside the bundled program, else those of the workspace. */
export async function loadSocketTemplates(): Promise<SocketTemplates> {
  if (typeof BOXSHIP_SOCKET_TEMPLATES !== 'undefined') return BOXSHIP_SOCKET_TEMPLATES;
  return await readTemplateFolder(fileURLToPath(new URL('../../../templates/device-socket/', import.meta.url)));
}

/** All files below `folder`, sorted by path. */
export async function readTemplateFolder(folder: string): Promise<SocketTemplates> {
  const templates: Record<string, string> = {};
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort()) {
    templates[
      file
        .slice(folder.length)
        .replace(/^[/\\]/, '')
        .replaceAll('\\', '/')
    ] = await readFile(file, 'utf8');
  }
  return templates;
}
