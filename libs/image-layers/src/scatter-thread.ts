import { Worker } from 'node:worker_threads';
import { createGunzip } from 'node:zlib';
import { PIECE_NUMBERS, type ScatterOptions, type ScatterTarget } from '@boxship/model';

/**
 * Runs in a worker thread, so plain JavaScript in a string: the program is one file, and the sources need a loader. One
 * thread reads, digests, inflates and writes, so that bytes stay in its core's cache and no buffer is made twice. It never
 * returns to its event loop: batches of pieces are taken by `receiveMessageOnPort`, and `control` counts those that were sent.
 */
const WORKER = `
const { workerData, parentPort, receiveMessageOnPort } = require('node:worker_threads');
const { openSync, readSync, closeSync, writeSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { createGunzip } = require('node:zlib');
const { path, gzip, limit, control } = workerData;
const IN = 256 * 1024;
const OUT = 512 * 1024;
/** Pieces are collected to writes that end at multiples of this position. */
const LANE = 1024 * 1024;
/** A tree that holds a source twice has places that grow side by side. */
const LANES = 4;
const TOLD = 8 * 1024 * 1024;
const targets = workerData.targets.map((target) => ({
  ...target, queue: [], whole: false, batch: new Float64Array(0), at: 0, open: [], lanes: [], uses: 0, written: 0, reached: target.lowest,
}));

function flush(target, lane) {
  for (let done = 0; done < lane.fill; ) {
    try {
      done += writeSync(target.descriptor, lane.buffer, done, lane.fill - done, lane.start + done);
    } catch (error) {
      throw Object.assign(error, { path: target.path });
    }
  }
  target.written += lane.fill;
  lane.start += lane.fill;
  lane.fill = 0;
}

function laneAt(target, position) {
  const { lanes } = target;
  for (const lane of lanes) {
    if (lane.start + lane.fill === position) { lane.use = ++target.uses; return lane; }
  }
  let lane;
  if (lanes.length < LANES) {
    lane = { buffer: Buffer.allocUnsafeSlow(LANE), start: 0, fill: 0, use: 0 };
    lanes.push(lane);
  } else {
    lane = lanes.reduce((oldest, other) => (other.use < oldest.use ? other : oldest));
    flush(target, lane);
  }
  lane.start = position;
  lane.use = ++target.uses;
  return lane;
}

/** Adds \`bytes[from, to)\`, or as many zeros when there are no bytes. */
function add(target, bytes, from, to, position) {
  const lane = laneAt(target, position);
  while (from < to) {
    const room = LANE - ((lane.start + lane.fill) % LANE);
    const count = Math.min(room, to - from);
    if (bytes) bytes.copy(lane.buffer, lane.fill, from, from + count);
    else lane.buffer.fill(0, lane.fill, lane.fill + count);
    lane.fill += count;
    from += count;
    if (count === room) flush(target, lane);
  }
}

/** The next batch of a target; false when there are no more. Another one is asked for. */
function nextBatch(target) {
  while (target.queue.length === 0) {
    if (target.whole) return false;
    const sent = Atomics.load(control, 0);
    const received = receiveMessageOnPort(parentPort);
    if (!received) { Atomics.wait(control, 0, sent, 1000); continue; }
    const { index, batch } = received.message;
    if (batch) targets[index].queue.push(batch);
    else targets[index].whole = true;
  }
  target.batch = target.queue.shift();
  target.at = 0;
  parentPort.postMessage({ taken: targets.indexOf(target) });
  return true;
}

/** Writes what of one piece is in the chunk; true when the piece goes on in the next one. */
function put(target, piece, chunk, length, position) {
  const { offset, size, at, zeros } = piece;
  const stop = offset + size;
  const from = Math.max(0, offset - position);
  const to = Math.min(length, stop - position);
  if (to > from) add(target, chunk, from, to, at + position + from - offset);
  if (stop > position + length) return true;
  if (zeros > 0) add(target, undefined, 0, zeros, at + size);
  return false;
}

const piece = { offset: 0, size: 0, at: 0, zeros: 0 };
function take(target, chunk, length, position) {
  const end = position + length;
  if (target.open.length > 0) target.open = target.open.filter((open) => put(target, open, chunk, length, position));
  for (;;) {
    if (target.at === target.batch.length && !nextBatch(target)) return;
    const { batch, at } = target;
    if (batch[at] >= end) return;
    piece.offset = batch[at];
    piece.size = batch[at + 1];
    piece.at = target.start + batch[at + 2];
    piece.zeros = batch[at + 3];
    target.at += ${PIECE_NUMBERS};
    if (put(target, piece, chunk, length, position)) target.open.push({ ...piece });
    target.reached = piece.at + piece.size + piece.zeros;
  }
}

let ended = false;
/** Nothing below it will be written any more. */
function pendingOf(target, position) {
  if (ended) return Infinity;
  let pending = target.ascending ? target.reached : target.lowest;
  for (const { start, fill } of target.lanes) if (fill > 0 && start < pending) pending = start;
  for (const { at, offset } of target.open) pending = Math.min(pending, at + Math.max(0, position - offset));
  return pending;
}

let total = 0;
let told = 0;
function tell(position) {
  const progress = targets.map((target) => {
    const { written } = target;
    target.written = 0;
    return { written, pending: pendingOf(target, position) };
  });
  parentPort.postMessage({ bytes: position - told, progress });
  told = position;
}
function chunk(bytes, length) {
  total += length;
  if (total > limit) throw new Error('it unpacks to more than ' + limit + ' bytes');
  for (const target of targets) take(target, bytes, length, total - length);
  if (total - told >= TOLD) tell(total);
}

function inflater() {
  const { _handle: handle, _writeState: state } = createGunzip();
  const out = Buffer.allocUnsafeSlow(OUT);
  let failure;
  let over = false;
  handle.onerror = (message, errno, code) => { failure = Object.assign(new Error(message), { code }); };
  /** Z_NO_FLUSH is 0, Z_FINISH is 4 (zlib.h). */
  return (bytes, length, flushFlag) => {
    for (let at = 0; !over; ) {
      handle.writeSync(flushFlag, bytes, at, length - at, out, 0, OUT);
      if (failure) throw failure;
      const [outLeft, inLeft] = state;
      at = length - inLeft;
      if (outLeft < OUT) chunk(out, OUT - outLeft);
      if (outLeft === 0) continue;
      over = inLeft > 0; // what follows the last member is nobody's
      break;
    }
  };
}

function run() {
  const file = openSync(path, 'r');
  const hash = createHash('sha256');
  const input = Buffer.allocUnsafeSlow(IN);
  const inflate = gzip ? inflater() : chunk;
  for (;;) {
    const count = readSync(file, input, 0, IN, null);
    if (count === 0) break;
    hash.update(count === IN ? input : input.subarray(0, count));
    inflate(input, count, 0);
  }
  if (gzip) inflate(input, 0, 4);
  closeSync(file);
  for (const target of targets) for (const lane of target.lanes) flush(target, lane);
  ended = true;
  tell(total);
  return { sha256: hash.digest('hex'), total };
}

try {
  parentPort.postMessage({ result: run() });
} catch ({ message, code, errno, syscall, path }) {
  parentPort.postMessage({ failure: { message, code, errno, syscall, path } });
}
`;

export interface ScatterResult {
  /** SHA-256 of the file as it is, hex. */
  readonly sha256: string;
  /** Bytes that came out. */
  readonly total: number;
}

export interface ScatterInput {
  readonly path: string;
  /** The file is gzip of any number of members; bytes that follow the last one are not looked at. */
  readonly gzip: boolean;
  /** Most bytes that may come out. */
  readonly limit: number;
}

interface WorkerMessage {
  /** A batch of this target was begun. */
  readonly taken?: number;
  readonly bytes?: number;
  readonly progress?: readonly { readonly written: number; readonly pending: number }[];
  readonly result?: ScatterResult;
  readonly failure?: { readonly message: string; readonly code?: string; readonly path?: string };
}

/** Batches that lie ready for a target. */
const AHEAD = 2;

/** Whether this Node's zlib can inflate without a stream: the way that npm's own minizlib goes, which nobody promises. */
export function canInflateInPlace(): boolean {
  const stream = createGunzip() as unknown as { _handle?: { writeSync?: unknown }; _writeState?: unknown };
  return typeof stream._handle?.writeSync === 'function' && stream._writeState instanceof Uint32Array;
}

/**
 * Inflates a file in a thread of its own, which writes each piece to its place. Resolves when all is written.
 * Errors: those of the file systems with their paths; a plain Error when the file is damaged or holds more than `limit`.
 */
export async function scatterInThread(
  { path, gzip, limit }: ScatterInput,
  targets: readonly ScatterTarget[],
  { onBytes, signal }: ScatterOptions,
): Promise<ScatterResult> {
  signal?.throwIfAborted();
  const control = new Int32Array(new SharedArrayBuffer(4));
  const workerData = {
    ...{ path, gzip, limit, control },
    targets: targets.map(({ descriptor, path, start, pieces: { lowest, ascending } }) => ({
      ...{ descriptor, path, start, ascending },
      lowest: start + lowest,
    })),
  };
  const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
  const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [], resourceLimits });
  const batches = targets.map(({ pieces }) => pieces.batches()[Symbol.iterator]());
  const feed = (index: number) => {
    const next = batches[index]!.next();
    worker.postMessage({ index, batch: next.value as unknown }, next.done ? [] : [next.value.buffer]);
    Atomics.add(control, 0, 1);
    Atomics.notify(control, 0);
  };
  let abort = () => {};
  try {
    return await new Promise<ScatterResult>((resolve, reject) => {
      abort = () => reject(signal!.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`the inflating thread ended with ${code}`)));
      worker.on('message', ({ taken, bytes, progress, result, failure }: WorkerMessage) => {
        try {
          if (taken !== undefined) feed(taken);
          if (bytes !== undefined) onBytes(bytes);
          progress?.forEach(({ written, pending }, index) => targets[index]!.onWritten(written, pending));
        } catch (error) {
          reject(error as Error);
        }
        if (failure) reject(Object.assign(new Error(failure.message), failure));
        if (result) resolve(result);
      });
      for (let ahead = 0; ahead < AHEAD; ahead++) for (const index of targets.keys()) feed(index);
    });
  } finally {
    signal?.removeEventListener('abort', abort); // it would hold the layout of a whole image until the program ends
    await worker.terminate(); // nobody may write to a file that the caller closes
  }
}
