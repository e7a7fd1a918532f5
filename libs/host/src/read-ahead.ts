import { open, type FileHandle } from 'node:fs/promises';
import { MiB } from '@boxship/model';

/** What one read brings falls into one small piece of memory that a core's cache holds, again and again: nobody looks at it. */
const [MEMORY, TIMES] = [256 * 1024, 16];
/**
 * So far before the reader: what a disk that writes a quarter of a gigabyte in a second, and reads what it is asked for when that
 * is written, keeps a reader waiting for.
 */
const AHEAD = 32 * MiB;

let unwanted: readonly Buffer[] | undefined;

/** Reads a file ahead of its reader. */
export interface ReadAhead extends AsyncDisposable {
  /** The reader has come to this position; it only grows. */
  passed(position: number): void;
}

/**
 * Brings a file to the page cache before its reader, which reads it from start to end: on a disk that is being written to, a read
 * waits for the writes before it, a tenth of a second. The kernel itself reads ahead by 128 KiB where nobody has set it to more,
 * and not at all over gaps that it has made in what it held. What is there already is read once more: a copy, in a thread of
 * libuv. Says nothing of errors, which the reader hears of.
 */
export function readAhead(path: string): ReadAhead {
  let [done, wanted, ended] = [0, AHEAD, false];
  let reading: Promise<void> | undefined;
  let file: FileHandle | undefined;
  const read = async () => {
    try {
      file ??= await open(path);
      unwanted ??= Array<Buffer>(TIMES).fill(Buffer.allocUnsafeSlow(MEMORY));
      while (!ended && done < wanted) {
        const { bytesRead } = await file.readv(unwanted, done);
        if (bytesRead === 0) ended = true;
        done += bytesRead;
      }
    } catch {
      ended = true;
    } finally {
      reading = undefined;
    }
  };
  const goOn = () => {
    if (!ended && done < wanted) reading ??= read();
  };
  goOn();
  return {
    passed(position) {
      done = Math.max(done, position); // a reader that is quicker than the disk is not followed
      wanted = position + AHEAD;
      goOn();
    },
    async [Symbol.asyncDispose]() {
      ended = true;
      await reading;
      await file?.close().catch(() => {});
    },
  };
}
