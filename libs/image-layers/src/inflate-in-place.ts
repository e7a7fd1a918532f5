import { createInflateRaw } from 'node:zlib';
import { gzipHeaderLength, GZIP_TRAILER, zlibError } from './gzip-member.ts';

/** What zlib.js of Node has behind a stream. */
interface ZlibInternals {
  readonly _handle?: {
    onerror: (message: string, errno: number, code: string) => void;
    writeSync(
      flush: number,
      input: Buffer,
      at: number,
      length: number,
      out: Buffer,
      outAt: number,
      outLength: number,
    ): void;
    reset(): void;
    close(): void;
  };
  /** Bytes left of the output and of the input. */
  readonly _writeState: Uint32Array;
}

/** Whether this Node's zlib can inflate without a stream: the way that npm's own minizlib goes, which nobody promises. */
export function canInflateInPlace(): boolean {
  const { _handle: handle, _writeState: state } = createInflateRaw() as unknown as ZlibInternals;
  return typeof handle?.writeSync === 'function' && state instanceof Uint32Array;
}

export interface Inflater extends Disposable {
  /** The next bytes of the file. */
  push(bytes: Buffer): void;
  /** There are no more. Errors: what zlib says of a file that is cut off. */
  end(): void;
}

/** zlib.h */
const Z_NO_FLUSH = 0;
const Z_FINISH = 4;

/** What comes next: a member's header, its deflate stream, its trailer; another member or padding; nothing. */
type State = 'header' | 'stream' | 'trailer' | 'next' | 'over';

/**
 * Inflates gzip (RFC 1952) of any number of members; zeros that follow the last one, and what follows them, are not looked at. What
 * comes out fills the buffer that `newOut` gives, of `size` bytes, and `onOut` hears when it is full, or when all is out: no buffer is
 * made for each piece, as a stream does. The CRC-32 of a member is not computed, which takes a tenth of the time: it is for who knows the
 * blob's SHA-256 and that the blob unpacks to what it should. Errors: as zlib has them, thrown by `push` and `end`.
 */
export function createInflater(size: number, onOut: (length: number) => void, newOut: () => Buffer): Inflater {
  const { _handle, _writeState: state } = createInflateRaw() as unknown as ZlibInternals;
  const handle = _handle!;
  let now: State = 'header';
  /** What is there of a header or a trailer that is not whole. */
  let carry = Buffer.alloc(0);
  let isFirst = true;
  let out: Buffer | undefined;
  let filled = 0;
  /** Bytes that came out of the member. */
  let produced = 0;
  let failure: Error | undefined;
  handle.onerror = (message, _errno, code) => {
    failure = zlibError(message, code);
  };
  const give = () => {
    onOut(filled);
    out = undefined;
    filled = 0;
  };
  /** Returns how many bytes it took; all of them until the stream is over. */
  const inflate = (bytes: Buffer, length: number, flush: number): number => {
    for (let at = 0; ;) {
      out ??= newOut();
      handle.writeSync(flush, bytes, at, length - at, out, filled, size - filled);
      if (failure) throw failure;
      const [outLeft, inLeft] = state as unknown as [number, number];
      at = length - inLeft;
      produced += size - outLeft - filled;
      filled = size - outLeft;
      if (outLeft > 0) return at;
      give();
    }
  };
  const steps: Readonly<Record<State, (bytes: Buffer) => number>> = {
    header(bytes) {
      const before = carry.length;
      carry = Buffer.concat([carry, bytes]);
      const length = gzipHeaderLength(carry);
      if (length === undefined) return bytes.length;
      if (!isFirst) handle.reset();
      [now, isFirst, produced, carry] = ['stream', false, 0, Buffer.alloc(0)];
      return length - before;
    },
    stream(bytes) {
      const taken = inflate(bytes, bytes.length, Z_NO_FLUSH);
      if (taken < bytes.length) now = 'trailer'; // zlib had room for more and did not want it
      return taken;
    },
    trailer(bytes) {
      const taken = Math.min(bytes.length, GZIP_TRAILER - carry.length);
      carry = Buffer.concat([carry, bytes.subarray(0, taken)]);
      if (carry.length < GZIP_TRAILER) return taken;
      if (carry.readUInt32LE(4) !== produced % 2 ** 32) throw zlibError('incorrect length check', 'Z_DATA_ERROR');
      [now, carry] = ['next', Buffer.alloc(0)];
      return taken;
    },
    next(bytes) {
      now = bytes[0] === 0 ? 'over' : 'header';
      return 0;
    },
    over: ({ length }) => length,
  };
  return {
    push(bytes) {
      for (let at = 0; at < bytes.length;) at += steps[now](at === 0 ? bytes : bytes.subarray(at));
    },
    end() {
      if (now === 'stream') {
        inflate(Buffer.alloc(0), 0, Z_FINISH);
        now = 'trailer';
      }
      if (now !== 'next' && now !== 'over') throw zlibError('unexpected end of file', 'Z_BUF_ERROR');
      if (filled > 0) give();
    },
    [Symbol.dispose]: () => handle.close(),
  };
}
