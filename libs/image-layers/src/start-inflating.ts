import { createHash } from 'node:crypto';
import { readAhead, sharedBytes, shareMemory, type SharedBlock, type SharedPiece } from '@boxship/host';
import { count, INPUT_PIECE, LENGTHS, OUT_PIECE, type Inflated, type InflateJob, type InflateMessage } from './scatter-job.ts'; // prettier-ignore
import { takeThread } from './layer-threads.ts';

/** Pieces of input that may wait to be digested: by this thread, which has little else to do meanwhile. */
const INPUT_PIECES = 6;
/** Pieces that may be inflated before they are put to their places. */
const OUT_PIECES = 3;

export interface Inflating {
  readonly inflated: Inflated;
  /** Of what is read, hex, when all of it is. Errors: those of zlib and of the file system. */
  readonly sha256: Promise<string>;
  /** Ends it, whatever it is at. */
  end(): Promise<void>;
}

/** Inflates the gzip file in a thread of its own; undefined where no memory can be shared with it. */
export function startInflating(path: string): Inflating | undefined {
  const input = shareMemory(INPUT_PIECES * INPUT_PIECE);
  const out = input && shareMemory(OUT_PIECES * OUT_PIECE);
  if (!out) {
    input?.[Symbol.dispose]();
    return undefined;
  }
  const digested = new Int32Array(new SharedArrayBuffer(4));
  const inflated: Inflated = {
    out: pieceOf(out),
    control: new Int32Array(new SharedArrayBuffer((LENGTHS + OUT_PIECES) * 4)),
  };
  const bytes = sharedBytes(pieceOf(input));
  const hash = createHash('sha256');
  let piece = 0;
  const { worker, giveBack, end } = takeThread('inflating');
  const ahead = readAhead(path);
  let isDone = false;
  let leave = () => {};
  const sha256 = new Promise<string>((resolve, reject) => {
    const onExit = (code: number) => reject(new Error(`the inflating thread ended with ${code}`));
    const onMessage = ({ read, isDone: isEnd, failure }: InflateMessage) => {
      if (read !== undefined) {
        const at = (piece++ % INPUT_PIECES) * INPUT_PIECE;
        hash.update(bytes.subarray(at, at + read));
        count(digested, 0);
        ahead.passed(piece * INPUT_PIECE);
      }
      if (failure) reject(Object.assign(new Error(failure.message), failure));
      if (!isEnd) return;
      isDone = true;
      resolve(hash.digest('hex'));
    };
    worker.on('error', reject).on('exit', onExit).on('message', onMessage);
    leave = () => worker.off('error', reject).off('exit', onExit).off('message', onMessage);
    worker.postMessage({ path, input: pieceOf(input), digested, inflated } satisfies InflateJob);
  });
  sha256.catch(() => {}); // told where it is waited for
  return {
    inflated,
    sha256,
    async end() {
      leave();
      if (isDone) giveBack();
      else await end();
      await ahead[Symbol.asyncDispose]();
      input[Symbol.dispose]();
      out[Symbol.dispose]();
    },
  };
}

const pieceOf = ({ memory, at, size }: SharedBlock): SharedPiece => ({ memory, at, size });
