import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { BytePath } from '@boxship/model';
import {
  decodePath,
  decodeRecord,
  encodeRecord,
  LENGTH_BYTES,
  recordBound,
  type RecordedEntry,
} from './entry-record.ts';
import { encodeFooter, type InventorySummary } from './inventory-footer.ts';

const BUFFER_SIZE = 256 * 1024;

/** Writes records to a file as they come and reads back those that were written. Offsets are bytes from the start. */
export interface RecordWriter {
  /** Returns the offset of the record. */
  add(entry: RecordedEntry): number;
  pathAt(offset: number): BytePath;
  recordAt(offset: number): RecordedEntry;
  /** Writes what is left to the file and returns its length. */
  flush(): number;
  /** Writes what is left, the summary and the checksum, and closes the file. */
  finish(summary: InventorySummary): void;
  /** Closes the file as it is, after an error or when it was only for reading back. */
  abandon(): void;
}

export function createRecordWriter(path: string): RecordWriter {
  const file = openSync(path, 'wx+', 0o644);
  const hash = createHash('sha256');
  let buffer = Buffer.allocUnsafe(BUFFER_SIZE);
  let filled = 0;
  /** Bytes of the file before `buffer`. */
  let flushed = 0;

  function flush(): void {
    const bytes = buffer.subarray(0, filled);
    hash.update(bytes);
    for (let done = 0; done < filled;) done += writeSync(file, bytes, done, filled - done, flushed + done);
    flushed += filled;
    filled = 0;
  }

  /** At least `length` bytes from `offset`, as far as there are. */
  function bytesAt(offset: number, length: number): Buffer {
    if (offset >= flushed) return buffer.subarray(offset - flushed, filled);
    const bytes = Buffer.allocUnsafe(length);
    const read = readSync(file, bytes, 0, length, offset);
    // a record never straddles what is flushed: it is encoded into the buffer whole
    return bytes.subarray(0, read);
  }

  function wholeRecord(offset: number): Buffer {
    const start = bytesAt(offset, 512);
    const length = LENGTH_BYTES + start.readUInt32LE(0);
    return length <= start.length ? start : bytesAt(offset, length);
  }

  return {
    add(entry) {
      const bound = recordBound(entry);
      if (filled + bound > buffer.length) {
        flush();
        if (bound > buffer.length) buffer = Buffer.allocUnsafe(bound);
      }
      const offset = flushed + filled;
      filled = encodeRecord(entry, buffer, filled);
      return offset;
    },
    pathAt: (offset) => decodePath(wholeRecord(offset), 0),
    recordAt: (offset) => decodeRecord(wholeRecord(offset), 0),
    flush() {
      flush();
      return flushed;
    },
    finish(summary) {
      flush();
      const footer = encodeFooter(summary, flushed, hash);
      writeSync(file, footer, 0, footer.length, flushed);
      closeSync(file);
    },
    abandon() {
      closeSync(file);
    },
  };
}
