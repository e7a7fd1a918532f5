import { closeSync, openSync, readSync } from 'node:fs';
import { openDirectFile, pageAlignedBuffer } from '@boxship/host';
import type { ByteRange, DirectWay } from '@boxship/model';

/** Bytes of one read of a whole file: they stay in the core's cache until they are taken. */
const WHOLE = 256 * 1024;
/** Bytes of one read of ranges, and where one ends. */
const RANGE = 1024 * 1024;

/**
 * The bytes of a file, or of ranges of it, one after another; less when it is shorter. A chunk is valid until the next one is asked
 * for. Ranges are read ahead by a chunk, and past the page cache where `directWay` says so: they are gigabytes of an image that
 * nobody else reads.
 */
export async function* readInput(
  path: string,
  ranges: readonly ByteRange[] | undefined,
  directWay: DirectWay | undefined,
): AsyncGenerator<Buffer> {
  const descriptor = openSync(path, 'r');
  try {
    if (ranges) yield* readRanges(descriptor, path, ranges, directWay);
    else yield* readWhole(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function* readWhole(descriptor: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(WHOLE);
  for (let at = 0; ;) {
    const count = readSync(descriptor, buffer, 0, WHOLE, at);
    if (count === 0) return;
    yield count === WHOLE ? buffer : buffer.subarray(0, count);
    at += count;
  }
}

async function* readRanges(
  descriptor: number,
  path: string,
  ranges: readonly ByteRange[],
  directWay: DirectWay | undefined,
): AsyncGenerator<Buffer> {
  using file = openDirectFile(descriptor, path, 'read', directWay);
  const memory = pageAlignedBuffer(2 * RANGE);
  const pieces = cut(ranges);
  let turn = 0;
  const readNext = (): Promise<Buffer> | undefined => {
    const piece = pieces.next();
    if (piece.done) return undefined;
    const { start, end } = piece.value;
    const offset = (turn++ % 2) * RANGE;
    const bytes = readAll(memory.subarray(offset, offset + end - start), start);
    bytes.catch(() => {}); // told where it is waited for
    return bytes;
  };
  const readAll = async (bytes: Buffer, position: number): Promise<Buffer> => {
    for (let done = 0; done < bytes.length;) {
      const count = await file.read(done === 0 ? bytes : bytes.subarray(done), position + done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  };
  let next = readNext();
  try {
    while (next) {
      const bytes = await next;
      next = readNext();
      if (bytes.length > 0) yield bytes;
    }
  } finally {
    await next?.catch(() => {}); // nobody may read a file that is closed
  }
}

function* cut(ranges: readonly ByteRange[]): Generator<ByteRange, undefined> {
  for (const { start, end } of ranges) {
    for (let at = start; at < end;) {
      const stop = Math.min(end, at - (at % RANGE) + RANGE);
      yield { start: at, end: stop };
      at = stop;
    }
  }
  return undefined;
}
