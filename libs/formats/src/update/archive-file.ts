import { open, type FileHandle } from 'node:fs/promises';
import { withPath } from '@boxship/host';

/** Appends the `size` bytes of the file at `path` to an archive. Errors: a file that ends before, the disk's, the signal's. */
export async function appendFile(
  archive: FileHandle,
  path: string,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let at = 0; at < size;) {
      signal?.throwIfAborted();
      const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error(`${path} ends at ${at}`);
      await archive.appendFile(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await from.close();
  }
}

/** Writes a new archive at `path`, on the disk when it resolves. Errors name the path. */
export async function writeNewArchive(path: string, write: (archive: FileHandle) => Promise<void>): Promise<void> {
  const archive = await open(path, 'wx', 0o644);
  try {
    await write(archive);
    await archive.sync();
  } catch (error) {
    throw withPath(error, path);
  } finally {
    await archive.close();
  }
}
