import { constants, type PathLike } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { RandomReader, RandomWriter } from '@boxship/model';

/** A file open for reading at any position; close it when done (`await using` works). */
export interface FileReader extends RandomReader, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

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
    if (bytesRead === 0)
      throw new Error(`${String(path)} ends at ${position + done}, ${length - done} bytes too early`);
    done += bytesRead;
  }
  return bytes;
}

/** A writer over an open file. Bytes are copied to the kernel before the promise resolves; `handle.sync()` is the caller's. */
export function fileWriter(handle: FileHandle): RandomWriter {
  return {
    async write(position, bytes) {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
  };
}
