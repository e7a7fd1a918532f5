import { constants, type PathLike } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { UserError, type RandomReader, type RandomWriter } from '@boxship/model';

/** A file open for reading at any position; close it when done (`await using` works). */
export interface FileReader extends RandomReader, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

/** Errors: those of the file system; FILE_TOO_SHORT when a read goes beyond the end. */
export async function openFileReader(path: string): Promise<FileReader> {
  const handle = await open(path, constants.O_RDONLY);
  const { size } = await handle.stat();
  const close = () => handle.close();
  return {
    path,
    size,
    read: (position, length) => readExactly(handle, path, position, length),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function readExactly(handle: FileHandle, path: PathLike, position: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) {
      throw new UserError(
        'FILE_TOO_SHORT',
        `${String(path)} ends at byte ${position + done}, ${length - done} bytes too early`,
        'It was cut off, or changed while it was read: bring it back and try again.',
      );
    }
    done += bytesRead;
  }
  return bytes;
}

/**
 * A writer over an open file. Bytes are copied to the kernel before the promise resolves; `handle.sync()` is the caller's.
 * `path` is for errors: a handle does not know its own.
 */
export function fileWriter(handle: FileHandle, path?: string): RandomWriter {
  return {
    async write(position, bytes) {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await handle
          .write(bytes, done, bytes.length - done, position + done)
          .catch((error: unknown) => {
            throw path === undefined ? error : withPath(error, path);
          });
        done += bytesWritten;
      }
    },
  };
}

/** Brings the bytes to the disk and closes the file, also where that fails. */
export async function closeSynced(handle: FileHandle, path: string): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    throw withPath(error, path);
  } finally {
    await handle.close();
  }
}

/** The file system's error with the path that it is about, which Node leaves out where a handle is open already. */
export function withPath(error: unknown, path: string): unknown {
  if (error instanceof Error && 'syscall' in error && !('path' in error)) Object.assign(error, { path });
  return error;
}
