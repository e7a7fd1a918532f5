import { closeSync, openSync } from 'node:fs';
import { openDirectFile, pageAlignedBuffer } from '@boxship/host';
import type { ByteRange, DirectWay } from '@boxship/model';

/** What is read of a file, and how far it is final. */
export interface FollowedFile {
  readonly path: string;
  /** Its final size already. Bytes. */
  readonly size: number;
  /** Holes: zeros that are not read. Ascending and apart. */
  readonly zeros: readonly ByteRange[];
  /** Bytes before this position are final; absent when all are. Positions only grow. */
  readonly written: BigInt64Array | undefined;
  /** Of who writes it: it is read past the page cache as long as it is written that way. */
  readonly directWay: DirectWay | undefined;
}

/** Bytes of one read through the page cache: they stay in the core's cache until they are hashed. */
const CACHED = 256 * 1024;
/** Bytes of one read past it, and where one ends. */
const DIRECT = 1024 * 1024;

/** Reads past it that are under way at once: one alone waits for the disk, not the disk for it. */
const AHEAD = 2;

/**
 * The bytes of a file from its start to its end, as they become final: for a thread of its own, which sleeps meanwhile. A chunk
 * is valid until the next one is asked for. What goes past the page cache is read ahead, so that the disk works while the
 * caller does.
 */
export async function* followFile({ path, size, zeros, written, directWay }: FollowedFile): AsyncGenerator<Buffer> {
  const descriptor = openSync(path, 'r');
  const file = openDirectFile(descriptor, path, 'read', directWay);
  const memory = file.isDirect() ? pageAlignedBuffer((1 + AHEAD) * DIRECT) : Buffer.allocUnsafeSlow(CACHED);
  const nothing = Buffer.alloc(CACHED);
  let [hole, used] = [0, 0];
  const pieceAt = (at: number): Piece => {
    while (hole < zeros.length && zeros[hole]!.end <= at) hole++;
    const zero = zeros[hole] ?? { start: size, end: size };
    if (zero.start <= at) return { start: at, end: Math.min(zero.end, at + nothing.length), isHole: true };
    const length = file.isDirect() ? DIRECT : CACHED;
    return { start: at, end: Math.min(at - (at % length) + length, zero.start), isHole: false };
  };
  const read = async (bytes: Buffer, at: number): Promise<void> => {
    for (let done = 0; done < bytes.length;) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const count = file.isDirect() ? await file.read(rest, at + done) : file.readSync(rest, at + done);
      if (count === 0) throw new Error(`${path} ends at ${at + done} while it is read`);
      done += count;
    }
  };
  const begin = ({ start, end, isHole }: Piece): Pending => {
    if (isHole) return { bytes: nothing.subarray(0, end - start) };
    const offset = memory.length > CACHED ? (used++ % (1 + AHEAD)) * DIRECT : 0;
    const bytes = memory.subarray(offset, offset + end - start);
    const isRead = read(bytes, start);
    isRead.catch(() => {}); // told where it is waited for
    return { bytes, isRead };
  };
  const pending: Pending[] = [];
  let begun = 0;
  const push = (piece: Piece) => {
    pending.push(begin(piece));
    begun = piece.end;
  };
  try {
    for (let at = 0; at < size;) {
      if (pending.length === 0) {
        const piece = pieceAt(begun);
        if (!piece.isHole && written) waitFor(written, piece.end);
        push(piece);
      }
      const { bytes, isRead } = pending.shift()!;
      if (isRead) await isRead;
      at += bytes.length;
      while (file.isDirect() && pending.length < AHEAD && begun < size) {
        const piece = pieceAt(begun);
        if (!piece.isHole && !isFinal(written, piece.end)) break;
        push(piece);
      }
      yield bytes;
    }
  } finally {
    await Promise.allSettled(pending.map(({ isRead }) => isRead)); // nobody may read a file that is closed
    file[Symbol.dispose]();
    closeSync(descriptor);
  }
}

interface Piece extends ByteRange {
  readonly isHole: boolean;
}

/** A chunk that is there, or will be. */
interface Pending {
  readonly bytes: Buffer;
  readonly isRead?: Promise<void>;
}

const isFinal = (written: BigInt64Array | undefined, end: number) =>
  written === undefined || Number(Atomics.load(written, 0)) >= end;

function waitFor(written: BigInt64Array, end: number): void {
  for (;;) {
    const now = Atomics.load(written, 0);
    if (Number(now) >= end) return;
    Atomics.wait(written, 0, now, 1000);
  }
}
