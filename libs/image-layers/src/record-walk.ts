import { closeSync, openSync, readSync } from 'node:fs';
import { LENGTH_BYTES } from './entry-record.ts';

const CHUNK = 128 * 1024;

/**
 * Decodes the records in the first `recordBytes` bytes of a file, one at a time: reads 128 KiB at once and holds no more,
 * however many there are. `decode` gets the buffer, where in it the record starts, and where that is in the file.
 */
export function* walkRecords<T>(
  path: string,
  recordBytes: number,
  decode: (buffer: Buffer, at: number, offset: number) => T,
): Generator<T, void, undefined> {
  const file = openSync(path, 'r');
  try {
    let buffer = Buffer.allocUnsafe(CHUNK);
    let at = 0;
    let filled = 0;
    /** Position in the file of the buffer's first byte. */
    let base = 0;
    const fill = (needed: number): void => {
      if (filled - at >= needed) return;
      if (needed > buffer.length) {
        const larger = Buffer.allocUnsafe(needed);
        buffer.copy(larger, 0, at, filled);
        buffer = larger;
      } else {
        buffer.copyWithin(0, at, filled);
      }
      base += at;
      filled -= at;
      at = 0;
      while (filled < needed) {
        const read = readSync(
          file,
          buffer,
          filled,
          Math.min(buffer.length - filled, recordBytes - base - filled),
          base + filled,
        );
        if (read === 0) throw new Error(`${path} ends inside a record at byte ${base + filled}`);
        filled += read;
      }
    };
    while (base + at < recordBytes) {
      fill(LENGTH_BYTES);
      const length = LENGTH_BYTES + buffer.readUInt32LE(at);
      fill(length);
      yield decode(buffer, at, base + at);
      at += length;
    }
  } finally {
    closeSync(file);
  }
}
