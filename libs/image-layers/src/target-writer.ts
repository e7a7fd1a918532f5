import { directWriter, openDirectFile } from '@boxship/host';
import type { DirectWay } from '@boxship/model';

/** Bytes of a buffer. */
export const WRITER_BUFFER = 1024 * 1024;

export interface TargetFile {
  /** Open for writing. */
  readonly descriptor: number;
  readonly path: string;
  readonly directWay: DirectWay | undefined;
}

/** Writes buffers to one file: several at a time while more are filled, where they go past the page cache. */
export interface TargetWriter extends Disposable {
  /** A buffer to fill; one that was given to `write` is not the caller's any more. */
  newBuffer(): Buffer;
  /** Writes the first `length` bytes, at the position; returns a buffer to go on with. Errors: those of the file system, with the path. */
  write(buffer: Buffer, position: number, length: number): Buffer;
  /** Writes that are under way. */
  underWay(): number;
  /** Lowest position that is still being written; Infinity when none is. */
  lowest(): number;
  /** Bytes in the file since the last call. */
  takeWritten(): number;
  /** Waits until no more than so many writes are under way. Errors: that of a write, with the path. */
  underWayAtMost(count: number): Promise<void>;
}

/**
 * `memory` holds all buffers that are in use at once: those that are filled, and `behind` more that are written meanwhile.
 */
export function targetWriter(target: TargetFile, memory: Buffer, behind: number): TargetWriter {
  const { path } = target;
  const file = openDirectFile(target.descriptor, path, 'write', target.directWay);
  const writer = directWriter(file, path);
  const free: Buffer[] = [];
  for (let at = 0; at < memory.length; at += WRITER_BUFFER) free.unshift(memory.subarray(at, at + WRITER_BUFFER));
  const underWay = new Set<{ readonly position: number }>();
  let [written, failure] = [0, undefined as unknown];
  let onWritten = () => {};
  const newBuffer = (): Buffer => free.pop()!;
  const writeBehind = async (buffer: Buffer, position: number, bytes: Buffer) => {
    const one = { position };
    underWay.add(one);
    try {
      await writer.write(position, bytes);
      written += bytes.length;
    } catch (error) {
      failure ??= error;
    }
    underWay.delete(one);
    free.push(buffer);
    onWritten();
  };
  const writeNow = (bytes: Buffer, position: number) => {
    try {
      for (let at = 0; at < bytes.length;) {
        at += file.writeSync(at === 0 ? bytes : bytes.subarray(at), position + at);
      }
    } catch (error) {
      throw Object.assign(error as Error, { path });
    }
    written += bytes.length;
  };
  return {
    newBuffer,
    write(buffer, position, length) {
      const bytes = length === WRITER_BUFFER ? buffer : buffer.subarray(0, length);
      if (length === 0 || !file.isDirect() || underWay.size >= behind) {
        writeNow(bytes, position);
        return buffer;
      }
      void writeBehind(buffer, position, bytes);
      return newBuffer();
    },
    underWay: () => underWay.size,
    lowest: () => Math.min(Infinity, ...[...underWay].map(({ position }) => position)),
    takeWritten() {
      const bytes = written;
      written = 0;
      return bytes;
    },
    async underWayAtMost(count) {
      while (underWay.size > count) await new Promise<void>((resolve) => (onWritten = resolve));
      if (failure !== undefined) throw failure as Error;
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}
