import { closeSync, openSync } from 'node:fs';
import { handOverReader, openDirectFile, pageAlignedBuffer, type HandOverReader } from '@boxship/host';
import type { ByteRange, DirectWay, HandOver } from '@boxship/model';

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
  /** Where its writers leave what they have just written. */
  readonly handOver: HandOver | undefined;
}

/** Bytes of one read through the page cache: they stay in the core's cache until they are hashed. */
const CACHED = 256 * 1024;
/** Bytes of one read past it, and where one ends. */
const DIRECT = 1024 * 1024;

/** Reads past it that are under way at once: one alone waits for the disk, not the disk for it. */
const AHEAD = 2;

/**
 * The bytes of a file from its start to its end, as they become final: for a thread of its own, which sleeps meanwhile. A chunk
 * is valid until the next one is asked for. What its writers still have in memory is taken from there. What goes past the page cache
 * is read ahead, so that the disk works while the caller does.
 */
export async function* followFile(followed: FollowedFile): AsyncGenerator<Buffer> {
  const { path, size, zeros, written, directWay, handOver } = followed;
  const descriptor = openSync(path, 'r');
  const file = openDirectFile(descriptor, path, 'read', directWay);
  const memory = file.isDirect() ? pageAlignedBuffer((1 + AHEAD) * DIRECT) : Buffer.allocUnsafeSlow(CACHED);
  const nothing = Buffer.alloc(CACHED);
  const reader = handOver ? handOverReader(handOver) : undefined;
  let [hole, used] = [0, 0];
  /** What comes next at a position; undefined when it is not final yet. */
  const pieceAt = (at: number): Piece | undefined => {
    while (hole < zeros.length && zeros[hole]!.end <= at) hole++;
    const zero = zeros[hole] ?? { start: size, end: size };
    if (zero.start <= at) {
      return { end: Math.min(zero.end, at + nothing.length), bytes: nothing };
    }
    const taken = reader?.take(at);
    if (taken) return { end: at + taken.bytes.length, ...taken };
    const length = file.isDirect() ? DIRECT : CACHED;
    const end = Math.min(at - (at % length) + length, zero.start);
    if (isFinal(written, end)) return { end };
    const next = reader?.nextBetween(at, end);
    return next !== undefined && isFinal(written, next) ? { end: next } : undefined;
  };
  const read = async (bytes: Buffer, at: number): Promise<void> => {
    for (let done = 0; done < bytes.length;) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const count = file.isDirect() ? await file.read(rest, at + done) : file.readSync(rest, at + done);
      if (count === 0) throw new Error(`${path} ends at ${at + done} while it is read`);
      done += count;
    }
  };
  const begin = (start: number, { end, bytes: there, release }: Piece): Pending => {
    if (there) return { bytes: there.subarray(0, end - start), release };
    const offset = memory.length > CACHED ? (used++ % (1 + AHEAD)) * DIRECT : 0;
    const bytes = memory.subarray(offset, offset + end - start);
    const isRead = read(bytes, start);
    isRead.catch(() => {}); // told where it is waited for
    return { bytes, isRead };
  };
  const pending: Pending[] = [];
  let begun = 0;
  const push = (piece: Piece) => {
    pending.push(begin(begun, piece));
    begun = piece.end;
    reader?.passed(begun);
  };
  try {
    for (let at = 0; at < size;) {
      if (pending.length === 0) push(waitFor(() => pieceAt(begun), written, reader));
      const { bytes, isRead, release } = pending.shift()!;
      if (isRead) await isRead;
      at += bytes.length;
      while (file.isDirect() && pending.length < AHEAD && begun < size) {
        const piece = pieceAt(begun);
        if (!piece) break;
        push(piece);
      }
      yield bytes;
      release?.();
    }
  } finally {
    await Promise.allSettled(pending.map(({ isRead }) => isRead)); // nobody may read a file that is closed
    file[Symbol.dispose]();
    closeSync(descriptor);
  }
}

interface Piece {
  /** Position in the file. */
  readonly end: number;
  /** Absent: they are read. */
  readonly bytes?: Buffer;
  readonly release?: () => void;
}

/** A chunk that is there, or will be. */
interface Pending {
  readonly bytes: Buffer;
  readonly isRead?: Promise<void>;
  readonly release?: (() => void) | undefined;
}

const isFinal = (written: BigInt64Array | undefined, end: number) =>
  written === undefined || Number(Atomics.load(written, 0)) >= end;

/** Sleeps until there is a piece. */
function waitFor(
  look: () => Piece | undefined,
  written: BigInt64Array | undefined,
  reader: HandOverReader | undefined,
): Piece {
  for (;;) {
    const changes = reader?.changes();
    const mark = written && Atomics.load(written, 0);
    const piece = look();
    if (piece) return piece;
    if (reader) reader.wait(changes!);
    else Atomics.wait(written!, 0, mark!, 1000);
  }
}
