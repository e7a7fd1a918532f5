import { readSync } from 'node:fs';
import bitIterator from 'unbzip2-stream/lib/bit_iterator.js';
import bzip2 from 'unbzip2-stream/lib/bzip2.js';
import { CutShort, Damaged } from './byte-source.ts';

/** A block of 900 kB of runs can hold 46 MB: its bytes are gathered in pieces of this size. */
const PIECE = 1024 * 1024;

/**
 * Writes what a .bz2 file holds to `sink`, one block after the other; joined streams (pbzip2) are read to the end. The
 * checksum of each block and stream is checked. The stream wrapper of unbzip2-stream keeps a block's bytes as an array
 * of numbers, 370 MB for zeros: its decoder is called with a sink of our own.
 */
export async function decompressBzip2(
  fd: number,
  size: number,
  sink: (bytes: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let taken = 0;
  const bits = bitIterator(() => {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    const count = readSync(fd, buffer, 0, buffer.length, taken);
    if (count === 0) throw new CutShort(`ends at byte ${size}, within a block`);
    taken += count;
    onBytes(count);
    return buffer.subarray(0, count);
  });
  const guarded = <T>(step: () => T): T => {
    try {
      return step();
    } catch (error) {
      // Damaged bytes also lead the decoder into TypeErrors; an error of the system has a code and is passed on.
      if (error instanceof CutShort || 'code' in (error as object)) throw error;
      throw new Damaged(`not bzip2, or damaged, before byte ${taken}`);
    }
  };
  // The decoder counts a byte as read when its first bit is: at the end of a stream that is exact.
  while (bits.bytesRead < size) {
    const capacity = 100_000 * guarded(() => bzip2.header(bits));
    const work = new Int32Array(capacity);
    let checksum: number | null = 0;
    while (checksum !== null) {
      const pieces = newPieces();
      const before: number = checksum;
      checksum = guarded(() => bzip2.decompress(bits, pieces.push, work, capacity, before));
      for (const piece of pieces.take()) await sink(piece);
    }
  }
}

function newPieces() {
  const full: Uint8Array[] = [];
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  return {
    push(byte: number): void {
      if (filled === PIECE) {
        full.push(piece);
        piece = new Uint8Array(PIECE);
        filled = 0;
      }
      piece[filled++] = byte;
    },
    take: (): Uint8Array[] => [...full, piece.subarray(0, filled)],
  };
}
