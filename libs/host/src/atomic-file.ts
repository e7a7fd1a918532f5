import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withPath } from './file-access.ts';
import { makeFolder } from './make-folder.ts';
import { partialPath } from './partial-file.ts';

/**
 * Writes a file whole or not at all: aside, synced, renamed. Missing parent folders are made. Errors of the file system
 * name the file that was wanted.
 */
export async function writeFileAtomically(path: string, bytes: string | Uint8Array, mode = 0o644): Promise<void> {
  const aside = partialPath(path);
  try {
    await makeFolder(dirname(path));
    const handle = await open(aside, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.chmod(mode); // the umask of the caller must not show
      await handle.sync();
    } catch (error) {
      throw withPath(error, path);
    } finally {
      await handle.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {}); // the first error tells more
    throw error;
  }
}
