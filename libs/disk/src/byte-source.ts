import type { FileHandle } from 'node:fs/promises';
import { MiB } from '@boxship/model';

/** A compressed file ends where more of it is due. */
export class CutShort extends Error {}

/** A compressed file does not keep the rules of its format, or its checksum. */
export class Damaged extends Error {}

/** A file read from its start, so many bytes at a time. */
export interface ByteSource {
  /** Bytes taken so far. */
  readonly position: number;
  readonly size: number;
  /** The next `count` bytes, valid until the next call. Throws CutShort. */
  take(count: number): Promise<Buffer>;
}

export function byteSource(handle: FileHandle, size: number, onBytes: (bytes: number) => void): ByteSource {
  const buffer = Buffer.allocUnsafeSlow(MiB);
  let start = 0; // of what is unread in the buffer
  let end = 0;
  let position = 0;
  return {
    size,
    get position() {
      return position;
    },
    async take(count) {
      if (count > buffer.length) throw new Error(`${count} bytes are more than a source holds`);
      if (end - start < count) {
        buffer.copyWithin(0, start, end);
        [start, end] = [0, end - start];
        while (end < count) {
          const { bytesRead } = await handle.read(buffer, end, buffer.length - end, position + end);
          if (bytesRead === 0) throw new CutShort(`ends at byte ${position + end}, where ${count - end} more are due`);
          end += bytesRead;
          onBytes(bytesRead);
        }
      }
      const bytes = buffer.subarray(start, start + count);
      start += count;
      position += count;
      return bytes;
    },
  };
}
