import { createHash, type Hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { receiveMessageOnPort } from 'node:worker_threads';
import { handOverWriter, memoryMover, pageAlignedBuffer } from '@boxship/host';
import { PIECE_NUMBERS } from '@boxship/model';
import { BATCHES_SENT, type ScatterBatch, type ScatterJob, type ScatterJobTarget } from './scatter-job.ts';
import { ownBuffers, targetWriter, WRITER_BUFFER, type TargetWriter } from './target-writer.ts';

/** Pieces are collected to writes that end at multiples of this position. */
const LANE = WRITER_BUFFER;
/** A tree that holds a source twice has places that grow side by side. */
const LANES = 4;
/** Writes that may be under way while the next bytes are inflated: of one target, of all together. */
const [BEHIND, ALL_BEHIND] = [4, 16];
/** Buffers of a target that a piece of input commonly fills. */
const FILLED = 2;

interface Lane {
  buffer: Buffer;
  start: number;
  fill: number;
  use: number;
}

interface Piece {
  offset: number;
  size: number;
  at: number;
  zeros: number;
}

interface Target {
  readonly index: number;
  readonly writer: TargetWriter;
  readonly start: number;
  readonly ascending: boolean;
  readonly lowest: number;
  readonly queue: Float64Array[];
  /** All batches are here. */
  whole: boolean;
  batch: Float64Array;
  at: number;
  /** Pieces that go on in the next chunk. */
  open: Piece[];
  readonly lanes: Lane[];
  /** Lanes that it may have. */
  readonly most: number;
  readonly hash: Hash | undefined;
  /** Its buffers are in shared memory. */
  readonly isShared: boolean;
  uses: number;
  reached: number;
}

/** Puts the pieces of a stream, as it comes, to their places in all targets. */
export interface PiecePlacer {
  /** Must be called before the first `put`. Errors: those of a write, with its path; so are those of the others. */
  begin(): Promise<void>;
  /** The next bytes of the stream. */
  put(bytes: Buffer, length: number): void;
  /** Waits until as many buffers are free again as the next piece of input fills. */
  catchUp(): Promise<void>;
  /** Writes what is left, waits until all is in the files, and closes what was opened. */
  end(): Promise<void>;
  /** Of each target, since the last call: bytes in the file, and what nothing below will be written any more. */
  progress(): readonly { readonly written: number; readonly pending: number }[];
  /** Of each target that was to be digested, hex. */
  contents(): readonly (string | undefined)[];
}

/** Of what lies one behind the other there is one. */
const lanesOf = ({ isRun }: Pick<ScatterJobTarget, 'isRun'>) => (isRun ? 1 : LANES);

/** `onBatch` hears that a batch of a target was begun: another one is wanted. */
export function createPiecePlacer(
  { targets: wanted, inflated, batches, control }: Pick<ScatterJob, 'targets' | 'inflated' | 'batches' | 'control'>,
  onBatch: (target: number) => void,
): PiecePlacer {
  const behind = Math.max(1, Math.min(BEHIND, Math.floor(ALL_BEHIND / wanted.length)));
  const handOverOf = ({ handOver, isRun }: ScatterJobTarget) => (isRun ? handOver : undefined);
  const buffersOf = (target: ScatterJobTarget) =>
    handOverOf(target)
      ? handOverWriter(handOverOf(target)!)
      : ownBuffers(pageAlignedBuffer((lanesOf(target) + behind) * LANE));
  const targets = wanted.map((target, index): Target => ({
    ...target,
    writer: targetWriter(target, buffersOf(target), behind),
    most: lanesOf(target),
    ...{ index, queue: [], whole: false, batch: new Float64Array(0), at: 0, open: [], lanes: [], uses: 0 },
    hash: target.digested ? createHash('sha256') : undefined,
    reached: target.lowest,
    isShared: handOverOf(target) !== undefined,
  }));
  const mover = inflated && memoryMover(inflated.out.memory);
  let position = 0;
  let ended = false;

  function flush(target: Target, lane: Lane): void {
    const { buffer, start, fill } = lane;
    target.hash?.update(fill === LANE ? buffer : buffer.subarray(0, fill));
    lane.buffer = target.writer.write(buffer, start, fill);
    lane.start += fill;
    lane.fill = 0;
  }

  function laneAt(target: Target, position: number): Lane {
    const { lanes } = target;
    for (const lane of lanes) {
      if (lane.start + lane.fill !== position) continue;
      lane.use = ++target.uses;
      return lane;
    }
    let lane: Lane;
    const buffer = lanes.length < target.most ? target.writer.newBuffer() : undefined;
    if (buffer) {
      lane = { buffer, start: 0, fill: 0, use: 0 };
      lanes.push(lane);
    } else {
      lane = lanes.reduce((oldest, other) => (other.use < oldest.use ? other : oldest));
      flush(target, lane);
    }
    lane.start = position;
    lane.use = ++target.uses;
    return lane;
  }

  /** `bytes` are those that are inflated: in the memory of the buffers between writers and reader, where one is shared. */
  const copy = ({ isShared }: Target, to: Buffer, at: number, bytes: Buffer, from: number, count: number): void => {
    if (mover && isShared) mover.copy(to.byteOffset + at, bytes.byteOffset + from, count);
    else bytes.copy(to, at, from, from + count);
  };
  const zero = ({ isShared }: Target, to: Buffer, at: number, count: number): void => {
    if (mover && isShared) mover.zero(to.byteOffset + at, count);
    else to.fill(0, at, at + count);
  };

  /** Adds `bytes[from, to)`, or as many zeros when there are no bytes. */
  function add(target: Target, bytes: Buffer | undefined, from: number, to: number, position: number): void {
    const lane = laneAt(target, position);
    for (let at = from; at < to;) {
      const room = LANE - ((lane.start + lane.fill) % LANE);
      const count = Math.min(room, to - at);
      if (bytes) copy(target, lane.buffer, lane.fill, bytes, at, count);
      else zero(target, lane.buffer, lane.fill, count);
      lane.fill += count;
      at += count;
      if (count === room) flush(target, lane);
    }
  }

  /** The next batch of a target; false when there are no more. Another one is asked for. */
  function nextBatch(target: Target): boolean {
    while (target.queue.length === 0) {
      if (target.whole) return false;
      const sent = Atomics.load(control, BATCHES_SENT);
      const received = receiveMessageOnPort(batches) as { readonly message: ScatterBatch } | undefined;
      if (!received) {
        Atomics.wait(control, BATCHES_SENT, sent, 1000);
        continue;
      }
      const { index, batch } = received.message;
      if (batch) targets[index]!.queue.push(batch);
      else targets[index]!.whole = true;
    }
    target.batch = target.queue.shift()!;
    target.at = 0;
    onBatch(target.index);
    return true;
  }

  /** Writes what of one piece is in the chunk; true when the piece goes on in the next one. */
  function put(
    target: Target,
    { offset, size, at, zeros }: Piece,
    chunk: Buffer,
    length: number,
    position: number,
  ): boolean {
    const stop = offset + size;
    const from = Math.max(0, offset - position);
    const to = Math.min(length, stop - position);
    if (to > from) add(target, chunk, from, to, at + position + from - offset);
    if (stop > position + length) return true;
    if (zeros > 0) add(target, undefined, 0, zeros, at + size);
    return false;
  }

  const piece: Piece = { offset: 0, size: 0, at: 0, zeros: 0 };
  function take(target: Target, chunk: Buffer, length: number, position: number): void {
    const end = position + length;
    if (target.open.length > 0) target.open = target.open.filter((open) => put(target, open, chunk, length, position));
    for (;;) {
      if (target.at === target.batch.length && !nextBatch(target)) return;
      const { batch, at } = target;
      if (batch[at]! >= end) return;
      piece.offset = batch[at]!;
      piece.size = batch[at + 1]!;
      piece.at = target.start + batch[at + 2]!;
      piece.zeros = batch[at + 3]!;
      target.at += PIECE_NUMBERS;
      if (put(target, piece, chunk, length, position)) target.open.push({ ...piece });
      target.reached = piece.at + piece.size + piece.zeros;
    }
  }

  /** Nothing below it will be written any more. */
  function pendingOf(target: Target): number {
    if (ended) return Infinity;
    let pending = Math.min(target.writer.lowest(), target.ascending ? target.reached : target.lowest);
    for (const { start, fill } of target.lanes) if (fill > 0 && start < pending) pending = start;
    for (const { at, offset } of target.open) pending = Math.min(pending, at + Math.max(0, position - offset));
    return pending;
  }

  return {
    async begin() {
      for (const { writer, lanes } of targets) {
        lanes.push({ buffer: await writer.firstBuffer(), start: 0, fill: 0, use: 0 });
      }
    },
    put(bytes, length) {
      for (const target of targets) take(target, bytes, length, position);
      position += length;
    },
    async catchUp() {
      if (targets.some(({ writer }) => writer.underWay() > 0)) await nextTurn(); // to hear of those that are written
      for (const { writer } of targets) {
        await writer.underWayAtMost(Math.max(0, behind - FILLED));
        await writer.freeBuffers(Math.min(FILLED, behind));
      }
    },
    async end() {
      for (const target of targets) for (const lane of target.lanes) flush(target, lane);
      for (const { writer, lanes } of targets) {
        for (const { buffer } of lanes) writer.giveBack(buffer);
        await writer.underWayAtMost(0);
        writer[Symbol.dispose]();
      }
      ended = true;
    },
    progress: () => targets.map((target) => ({ written: target.writer.takeWritten(), pending: pendingOf(target) })),
    contents: () => targets.map(({ hash }) => hash?.digest('hex')),
  };
}
