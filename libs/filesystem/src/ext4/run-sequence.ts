import { createHash } from 'node:crypto';
import { BLOCK_SIZE } from './geometry.ts';

/** Pieces that are hashed at once. */
const BATCH = 4096;

/** What pieces of a stream, each with its zeros, one behind the other, have in common wherever they lie. */
export interface RunSequence {
  /** In bytes: position in the stream, length, zeros that follow. */
  add(offset: number, length: number, padding: number): void;
  /** Equal for equal pieces in equal order. Hex. */
  digest(): string;
}

export function createRunSequence(): RunSequence {
  const hash = createHash('sha256');
  const numbers = new Float64Array(BATCH * 3);
  let filled = 0;
  return {
    add(offset, length, padding) {
      numbers[filled] = offset;
      numbers[filled + 1] = length;
      numbers[filled + 2] = padding;
      filled += 3;
      if (filled < numbers.length) return;
      hash.update(numbers);
      filled = 0;
    },
    digest: () => hash.update(numbers.subarray(0, filled)).digest('hex'),
  };
}

/** Zeros from a position to the end of its block. Bytes. */
export function blockPadding(position: number): number {
  return -position & (BLOCK_SIZE - 1);
}
