import type { FileSegment, TreeEntry } from '@boxship/model';

/** One entry of a tar stream: its attributes and where its parts lie. All offsets in bytes from the stream's start. */
export interface TarEntry extends Omit<TreeEntry, 'content'> {
  /** The name as the stream has it, before cleaning: `./a/`, `/a`. */
  readonly rawName: string;
  /** The first header block of this entry, extended headers before it included. */
  readonly headerOffset: number;
  /** First byte of the stored data; headers and a sparse map end here. */
  readonly dataOffset: number;
  /** Bytes of stored data: `size`, or less for a sparse file. */
  readonly storedSize: number;
  /** Present for a sparse file, in ascending order. What no segment covers reads as zeros. */
  readonly segments?: readonly FileSegment[];
}

/**
 * Takes what the parser finds, in the order of the stream. `raw` and `data` together are the whole stream, byte for byte.
 * Arrays are only valid during the call.
 */
export interface TarVisitor {
  entry(entry: TarEntry): void;
  /** Stored bytes of the entry that came last, in pieces; packed for a sparse file. */
  data?(bytes: Uint8Array): void;
  /** Bytes that are no file data: headers and sparse maps (before their entry), padding, trailer. */
  raw?(bytes: Uint8Array): void;
  /** A PAX global header of this name ended; it is no entry. */
  globalHeader?(rawName: string): void;
  /** The two zero blocks were read; what follows is padding of any content. */
  archiveEnd?(): void;
}
