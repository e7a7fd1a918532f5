import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '@boxship/model';

/** A file of a folder or of an archive. */
export interface StoredFile {
  /** Bytes. */
  readonly size: number;
  /** Its bytes from `offset` on; fails when the file ends before `size`. */
  open(offset?: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Where it lies when it is a file of its own. */
  readonly path?: string;
}

/** Files by their `/`-separated names: an OCI layout, whether it is a folder or a tar archive. */
export interface FileSet {
  /** What messages call it. */
  readonly name: string;
  find(path: string): Promise<StoredFile | undefined>;
  close(): Promise<void>;
}

const CHUNK = 1024 * 1024;

/** The files below a folder. */
export function openFolder(folder: string, name: string): FileSet {
  return {
    name,
    async find(path) {
      const file = join(folder, path);
      const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw new UserError('IMAGE_UNREADABLE', `${file} cannot be read: ${error.code ?? error.message}`);
      });
      if (!info?.isFile()) return undefined;
      return {
        size: info.size,
        path: file,
        open: (offset = 0, signal) =>
          offset >= info.size
            ? noBytes()
            : createReadStream(file, { start: offset, highWaterMark: CHUNK, ...(signal ? { signal } : {}) }),
      };
    },
    close: () => Promise.resolve(),
  };
}

// eslint-disable-next-line require-yield
async function* noBytes(): AsyncGenerator<Uint8Array> {
  return;
}

/** All bytes of a small file. Errors: BAD_ARCHIVE when it is larger than `limit` bytes. */
export async function readWhole(file: StoredFile, limit: number, subject: string): Promise<Uint8Array> {
  if (file.size > limit) {
    throw new UserError('BAD_ARCHIVE', `${subject} has ${file.size} bytes, ${limit} are allowed`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of file.open()) {
    chunks.push(Uint8Array.from(chunk));
    length += chunk.length;
    if (length > limit) throw new UserError('BAD_ARCHIVE', `${subject} grew beyond ${limit} bytes while it was read`);
  }
  return Buffer.concat(chunks);
}
