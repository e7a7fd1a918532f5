import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Name of what is being written beside `path`; starts with a dot and ends with `.partial`, so that cleaning finds it. */
export function partialPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString('hex')}.partial`);
}

/** Writes a file whole or not at all: aside, synced, renamed. Missing parent folders are made. */
export async function writeFileAtomically(path: string, bytes: string | Uint8Array, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const aside = partialPath(path);
  try {
    const handle = await open(aside, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.chmod(mode); // the umask of the caller must not show
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}
