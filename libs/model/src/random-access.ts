/** Bytes that can be read at any position. */
export interface RandomReader {
  /** Length in bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `position`, or an error. */
  read(position: number, length: number): Promise<Uint8Array>;
}

/** A place that takes bytes at any position (the file grows as needed; what is never written reads as zeros). */
export interface RandomWriter {
  /** Resolves when `bytes` may be used again. */
  write(position: number, bytes: Uint8Array): Promise<void>;
}

/** Bytes that take the place of those at a position. */
export interface Patch {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A run of bytes: `[start, end)`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The part of `reader` that starts at `start`. */
export function readerSlice(reader: RandomReader, start: number, size: number): RandomReader {
  return { size, read: (position, length) => reader.read(start + position, length) };
}

/** A writer whose position 0 is `start` of `writer`. */
export function writerSlice(writer: RandomWriter, start: number): RandomWriter {
  return { write: (position, bytes) => writer.write(start + position, bytes) };
}
