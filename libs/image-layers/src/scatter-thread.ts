import { createHash, type Hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createGunzip } from 'node:zlib';
import { pageAlignedBuffer } from '@boxship/host';
import { PIECE_NUMBERS, type ByteRange } from '@boxship/model';
import { readInput } from './read-input.ts';
import { targetWriter, WRITER_BUFFER, type TargetFile, type TargetWriter } from './target-writer.ts';

/**
 * One thread reads, digests, inflates and writes, so that bytes stay in its core's cache and no buffer is made twice. It
 * does not wait for messages: batches of pieces are taken by `receiveMessageOnPort`, and `control` counts those that were sent.
 */
export interface ScatterJob {
  readonly path: string;
  /** What of the file is read; all of it when absent. */
  readonly ranges: readonly ByteRange[] | undefined;
  readonly gzip: boolean;
  /** Most bytes that may come out. */
  readonly limit: number;
  readonly control: Int32Array;
  readonly targets: readonly (TargetFile & {
    readonly start: number;
    readonly ascending: boolean;
    /** Lowest position that is written, `start` included. */
    readonly lowest: number;
    /** What it gets is digested; its pieces lie one behind the other. */
    readonly digested: boolean;
  })[];
}

/** A batch of pieces for a target; none when there are no more. */
export interface ScatterBatch {
  readonly index: number;
  readonly batch?: Float64Array | undefined;
}

export interface ScatterMessage {
  /** A batch of this target was begun. */
  readonly taken?: number;
  readonly bytes?: number;
  readonly progress?: readonly { readonly written: number; readonly pending: number }[];
  readonly result?: {
    /** SHA-256 of what was read, hex. */
    readonly sha256: string;
    /** Bytes that came out. */
    readonly total: number;
    /** SHA-256 (hex) of what each target got; absent where that was not asked for. */
    readonly contents: readonly (string | undefined)[];
  };
  readonly failure?: {
    readonly message: string;
    readonly code?: string | undefined;
    readonly errno?: number | undefined;
    readonly syscall?: string | undefined;
    readonly path?: string | undefined;
  };
}

const { path, ranges, gzip, limit, control, targets: wanted } = workerData as ScatterJob;
const port = parentPort!;
const tell = (message: ScatterMessage) => port.postMessage(message);

const OUT = 512 * 1024;
/** Pieces are collected to writes that end at multiples of this position. */
const LANE = WRITER_BUFFER;
/** A tree that holds a source twice has places that grow side by side. */
const LANES = 4;
const TOLD = 2 * 1024 * 1024;
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
  uses: number;
  reached: number;
}

/** Of what is digested there is one: it is written in its order, what lies before a gap first. */
const lanesOf = ({ digested }: { readonly digested: boolean }) => (digested ? 1 : LANES);
const behind = Math.min(BEHIND, Math.floor(ALL_BEHIND / wanted.length));
/** Of all lanes and all writes: what nobody fills takes no memory. */
const memory = pageAlignedBuffer(wanted.reduce((sum, target) => sum + lanesOf(target) + behind, 0) * LANE);
let memoryUsed = 0;
const memoryFor = (buffers: number) => memory.subarray(memoryUsed, (memoryUsed += buffers * LANE));

const targets = wanted.map((target, index): Target => ({
  ...target,
  writer: targetWriter(target, memoryFor(lanesOf(target) + behind), behind),
  most: lanesOf(target),
  ...{ index, queue: [], whole: false, batch: new Float64Array(0), at: 0, open: [], lanes: [], uses: 0 },
  hash: target.digested ? createHash('sha256') : undefined,
  reached: target.lowest,
}));

function flush(target: Target, lane: Lane): void {
  const { buffer, start, fill } = lane;
  target.hash?.update(fill === LANE ? buffer : buffer.subarray(0, fill));
  lane.buffer = target.writer.write(buffer, start, fill);
  lane.start += fill;
  lane.fill = 0;
}

/** Waits until as many buffers are free again as the next piece of input fills. */
async function catchUp(): Promise<void> {
  if (targets.every(({ writer }) => writer.underWay() === 0)) return;
  await nextTurn(); // to hear of those that are written
  for (const { writer } of targets) await writer.underWayAtMost(Math.max(0, behind - FILLED));
}

function laneAt(target: Target, position: number): Lane {
  const { lanes } = target;
  for (const lane of lanes) {
    if (lane.start + lane.fill !== position) continue;
    lane.use = ++target.uses;
    return lane;
  }
  let lane: Lane;
  if (lanes.length < target.most) {
    lane = { buffer: target.writer.newBuffer(), start: 0, fill: 0, use: 0 };
    lanes.push(lane);
  } else {
    lane = lanes.reduce((oldest, other) => (other.use < oldest.use ? other : oldest));
    flush(target, lane);
  }
  lane.start = position;
  lane.use = ++target.uses;
  return lane;
}

/** Adds `bytes[from, to)`, or as many zeros when there are no bytes. */
function add(target: Target, bytes: Buffer | undefined, from: number, to: number, position: number): void {
  const lane = laneAt(target, position);
  for (let at = from; at < to;) {
    const room = LANE - ((lane.start + lane.fill) % LANE);
    const count = Math.min(room, to - at);
    if (bytes) bytes.copy(lane.buffer, lane.fill, at, at + count);
    else lane.buffer.fill(0, lane.fill, lane.fill + count);
    lane.fill += count;
    at += count;
    if (count === room) flush(target, lane);
  }
}

/** The next batch of a target; false when there are no more. Another one is asked for. */
function nextBatch(target: Target): boolean {
  while (target.queue.length === 0) {
    if (target.whole) return false;
    const sent = Atomics.load(control, 0);
    const received = receiveMessageOnPort(port) as { readonly message: ScatterBatch } | undefined;
    if (!received) {
      Atomics.wait(control, 0, sent, 1000);
      continue;
    }
    const { index, batch } = received.message;
    if (batch) targets[index]!.queue.push(batch);
    else targets[index]!.whole = true;
  }
  target.batch = target.queue.shift()!;
  target.at = 0;
  tell({ taken: target.index });
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

let ended = false;
/** Nothing below it will be written any more. */
function pendingOf(target: Target, position: number): number {
  if (ended) return Infinity;
  let pending = Math.min(target.writer.lowest(), target.ascending ? target.reached : target.lowest);
  for (const { start, fill } of target.lanes) if (fill > 0 && start < pending) pending = start;
  for (const { at, offset } of target.open) pending = Math.min(pending, at + Math.max(0, position - offset));
  return pending;
}

let total = 0;
let told = 0;
function tellProgress(position: number): void {
  const progress = targets.map((target) => ({
    written: target.writer.takeWritten(),
    pending: pendingOf(target, position),
  }));
  tell({ bytes: position - told, progress });
  told = position;
}

function chunk(bytes: Buffer, length: number): void {
  total += length;
  if (total > limit) throw new Error(`it unpacks to more than ${limit} bytes`);
  for (const target of targets) take(target, bytes, length, total - length);
  if (total - told >= TOLD) tellProgress(total);
}

/** What zlib.js of Node has behind a stream. */
interface ZlibInternals {
  readonly _handle: {
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
  };
  /** Bytes left of the output and of the input. */
  readonly _writeState: Uint32Array;
}

function inflater(): (bytes: Buffer, length: number, flushFlag: number) => void {
  const { _handle: handle, _writeState: state } = createGunzip() as unknown as ZlibInternals;
  const out = Buffer.allocUnsafeSlow(OUT);
  let failure: Error | undefined;
  let over = false;
  handle.onerror = (message, _errno, code) => {
    failure = Object.assign(new Error(message), { code });
  };
  return (bytes, length, flushFlag) => {
    for (let at = 0; !over;) {
      handle.writeSync(flushFlag, bytes, at, length - at, out, 0, OUT);
      if (failure) throw failure;
      const [outLeft, inLeft] = state as unknown as [number, number];
      at = length - inLeft;
      if (outLeft < OUT) chunk(out, OUT - outLeft);
      if (outLeft === 0) continue;
      over = inLeft > 0; // what follows the last member is nobody's
      break;
    }
  };
}

/** zlib.h */
const Z_NO_FLUSH = 0;
const Z_FINISH = 4;

async function run(): Promise<NonNullable<ScatterMessage['result']>> {
  const hash = createHash('sha256');
  const inflate = gzip ? inflater() : chunk;
  for await (const bytes of readInput(path, ranges, wanted[0]?.directWay)) {
    hash.update(bytes);
    inflate(bytes, bytes.length, Z_NO_FLUSH);
    await catchUp();
  }
  if (gzip) inflate(Buffer.alloc(0), 0, Z_FINISH);
  for (const target of targets) for (const lane of target.lanes) flush(target, lane);
  for (const { writer } of targets) {
    await writer.underWayAtMost(0);
    writer[Symbol.dispose]();
  }
  ended = true;
  tellProgress(total);
  return { sha256: hash.digest('hex'), total, contents: targets.map((target) => target.hash?.digest('hex')) };
}

run().then(
  (result) => tell({ result }),
  ({ message, code, errno, syscall, path: of }: NodeJS.ErrnoException) =>
    tell({ failure: { message, code, errno, syscall, path: of } }),
);
