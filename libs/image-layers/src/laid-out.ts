import { createHash } from 'node:crypto';
import { blockPadding, createRunSequence } from '@boxship/filesystem';
import type { LaidOutContent } from '@boxship/model';

/** Digests the files of a stream as the blocks that they become, while it is read. */
export interface LaidOutDigest {
  /** A file begins: its position in the stream and its length, in bytes. */
  file(offset: number, length: number): void;
  /** The next bytes of it. */
  data(bytes: Uint8Array): void;
  finish(): LaidOutContent;
}

/** Bytes that are digested at once: most files of most layers are a few KiB. */
const BUFFER = 64 * 1024;

export function createLaidOutDigest(): LaidOutDigest {
  const sequence = createRunSequence();
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafeSlow(BUFFER);
  let filled = 0;
  /** Zeros behind the file that is open. */
  let padding = 0;
  const flush = () => {
    hash.update(buffer.subarray(0, filled));
    filled = 0;
  };
  const end = () => {
    if (filled + padding > BUFFER) flush();
    buffer.fill(0, filled, (filled += padding));
    padding = 0;
  };
  return {
    file(offset, length) {
      end();
      padding = blockPadding(length);
      sequence.add(offset, length, padding);
    },
    data(bytes) {
      if (filled + bytes.length > BUFFER) flush();
      if (bytes.length > BUFFER / 4) {
        flush();
        hash.update(bytes);
        return;
      }
      buffer.set(bytes, filled);
      filled += bytes.length;
    },
    finish() {
      end();
      flush();
      return { sequence: sequence.digest(), sha256: hash.digest('hex') };
    },
  };
}
