// unbzip2-stream has no types; these are of the two modules behind its stream.
declare module 'unbzip2-stream/lib/bit_iterator.js' {
  /** Reads bits, most significant first, from the buffers that `next` gives; `null` skips to the next whole byte. */
  export interface BitReader {
    (count: number | null): number;
    readonly bytesRead: number;
  }
  export default function bitIterator(next: () => Uint8Array): BitReader;
}

declare module 'unbzip2-stream/lib/bzip2.js' {
  import type { BitReader } from 'unbzip2-stream/lib/bit_iterator.js';
  const bzip2: {
    /** Level, 1 to 9: blocks have that many times 100,000 bytes. */
    header(bits: BitReader): number;
    /** Decodes one block; returns the stream's checksum so far, or null at the end of the stream. */
    decompress(
      bits: BitReader,
      push: (byte: number) => void,
      work: Int32Array,
      capacity: number,
      checksum: number,
    ): number | null;
  };
  export default bzip2;
}
