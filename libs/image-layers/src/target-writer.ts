import { setImmediate as nextTurn } from 'node:timers/promises';
import { directWriter, HAND_OVER_BUFFER, openDirectFile } from '@boxship/host';
import type { DirectWay } from '@boxship/model';

/** Bytes of a buffer. */
export const WRITER_BUFFER = HAND_OVER_BUFFER;

/** Where a writer has its buffers from: those of a hand-over, or memory of its own. */
export interface WriterBuffers {
  /** Undefined when none is free. */
  take(): Buffer | undefined;
  offer(buffer: Buffer, position: number, length: number): void;
  done(buffer: Buffer): void;
  free(): number;
  wait(): void;
}

export interface TargetFile {
  /** Open for writing. */
  readonly descriptor: number;
  readonly path: string;
  readonly directWay: DirectWay | undefined;
}

/** Writes buffers to one file: several at a time while more are filled, where they go past the page cache. */
export interface TargetWriter extends Disposable {
  /** A buffer to fill; one that was given to `write` is not the caller's any more. Undefined when none is free now. */
  newBuffer(): Buffer | undefined;
  /** The same, waiting until one is free. Errors: that of a write, with the path. */
  firstBuffer(): Promise<Buffer>;
  /** The buffer will not be filled any more. */
  giveBack(buffer: Buffer): void;
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
  /** Waits until so many buffers are free, which there must be. Errors: that of a write, with the path. */
  freeBuffers(count: number): Promise<void>;
}

/** Buffers that nobody else sees. */
export function ownBuffers(memory: Buffer): WriterBuffers {
  const free: Buffer[] = [];
  for (let at = 0; at < memory.length; at += WRITER_BUFFER) free.unshift(memory.subarray(at, at + WRITER_BUFFER));
  return {
    take: () => free.pop(),
    offer() {},
    done: (buffer) => void free.push(buffer),
    free: () => free.length,
    wait() {},
  };
}

/** At most `behind` writes are under way at once while more buffers are filled. */
export function targetWriter(target: TargetFile, buffers: WriterBuffers, behind: number): TargetWriter {
  const { path } = target;
  const file = openDirectFile(target.descriptor, path, 'write', target.directWay);
  const writer = directWriter(file, path);
  const underWay = new Set<{ readonly position: number }>();
  let [written, failure] = [0, undefined as unknown];
  let onWritten = () => {};
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
    buffers.done(buffer);
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
  const freeBuffers = async (count: number) => {
    while (buffers.free() < count) {
      const written = underWay.size > 0 ? new Promise<void>((resolve) => (onWritten = resolve)) : undefined;
      if (!written) buffers.wait();
      await (written ?? nextTurn());
    }
    if (failure !== undefined) throw failure as Error;
  };
  return {
    newBuffer: () => buffers.take(),
    async firstBuffer() {
      for (;;) {
        await freeBuffers(1);
        const buffer = buffers.take();
        if (buffer) return buffer;
      }
    },
    giveBack: (buffer) => buffers.done(buffer),
    write(buffer, position, length) {
      const bytes = length === WRITER_BUFFER ? buffer : buffer.subarray(0, length);
      const next = length === 0 ? undefined : buffers.take();
      if (!next) {
        writeNow(bytes, position); // and whoever reads behind reads it from the file
        return buffer;
      }
      buffers.offer(buffer, position, length);
      if (file.isDirect() && underWay.size < behind) void writeBehind(buffer, position, bytes);
      else {
        writeNow(bytes, position);
        buffers.done(buffer);
      }
      return next;
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
    freeBuffers,
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}
