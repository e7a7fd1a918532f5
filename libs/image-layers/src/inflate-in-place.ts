import { createGunzip } from 'node:zlib';

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
    close(): void;
  };
  /** Bytes left of the output and of the input. */
  readonly _writeState: Uint32Array;
}

/** Whether this Node's zlib can inflate without a stream: the way that npm's own minizlib goes, which nobody promises. */
export function canInflateInPlace(): boolean {
  const { _handle: handle, _writeState: state } = createGunzip() as unknown as ZlibInternals;
  return typeof handle?.writeSync === 'function' && state instanceof Uint32Array;
}

export interface Inflater extends Disposable {
  /** The next bytes of the file. */
  push(bytes: Buffer, length: number): void;
  /** There are no more. Errors: what zlib says of a file that is cut off. */
  end(): void;
}

/** zlib.h */
const Z_NO_FLUSH = 0;
const Z_FINISH = 4;

/**
 * Inflates gzip of any number of members; what follows the last one is not looked at. What comes out fills the buffer that `newOut`
 * gives, of `size` bytes, and `onOut` hears when it is full, or when all is out: no buffer is made for each piece, as a stream does.
 * Errors: those of zlib, thrown by `push` and `end`.
 */
export function createInflater(size: number, onOut: (length: number) => void, newOut: () => Buffer): Inflater {
  const { _handle, _writeState: state } = createGunzip() as unknown as ZlibInternals;
  const handle = _handle!;
  let out: Buffer | undefined;
  let filled = 0;
  let failure: Error | undefined;
  let over = false;
  handle.onerror = (message, _errno, code) => {
    failure = Object.assign(new Error(message), { code });
  };
  const give = () => {
    onOut(filled);
    out = undefined;
    filled = 0;
  };
  const write = (bytes: Buffer, length: number, flush: number) => {
    for (let at = 0; !over;) {
      out ??= newOut();
      handle.writeSync(flush, bytes, at, length - at, out, filled, size - filled);
      if (failure) throw failure;
      const [outLeft, inLeft] = state as unknown as [number, number];
      at = length - inLeft;
      filled = size - outLeft;
      if (outLeft === 0) {
        give();
        continue;
      }
      over = inLeft > 0; // what follows the last member is nobody's
      break;
    }
  };
  return {
    push: (bytes, length) => write(bytes, length, Z_NO_FLUSH),
    end() {
      write(Buffer.alloc(0), 0, Z_FINISH);
      if (filled > 0) give();
    },
    [Symbol.dispose]: () => handle.close(),
  };
}
