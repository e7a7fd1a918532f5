import { Worker } from 'node:worker_threads';

/** Bytes of one slot, and slots between the thread and its reader: what may lie ready. */
const SLOT = 512 * 1024;
const SLOTS = 4;

/** Places in the shared control words. */
const PRODUCED = 0;
const CONSUMED = 1;
const ENDED = 2;
const LENGTHS = 3;

export interface GunzipResult {
  /** SHA-256 of the compressed file, hex. */
  readonly sha256: string;
}

/**
 * Runs in a worker thread, so plain JavaScript in a string: the program is one file, and the sources need a loader. zlib's
 * streams make a new buffer for every piece of output; in this thread, whose heap is almost empty, collecting them costs
 * nothing. The bytes go over in slots of shared memory.
 */
const WORKER = `
const { workerData, parentPort } = require('node:worker_threads');
const { createReadStream } = require('node:fs');
const { createGunzip } = require('node:zlib');
const { createHash } = require('node:crypto');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
// V8 would let 64 MiB of used buffers pile up in each thread before it looks: too much where the whole has 256.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const { path, memory, control, slot: SLOT, slots: SLOTS, limit } = workerData;
const bytes = new Uint8Array(memory);
const words = new Int32Array(control);
let produced = 0;
let fill = 0;
let total = 0;
let uncollected = 0;
/** Waits for a free slot; -1 says that the reader is gone. */
function waitForSlot() {
  for (;;) {
    const consumed = Atomics.load(words, ${CONSUMED});
    if (consumed < 0) process.exit();
    if (produced - consumed < SLOTS) return;
    Atomics.wait(words, ${CONSUMED}, consumed);
  }
}
function publish() {
  words[${LENGTHS} + (produced % SLOTS)] = fill;
  produced += 1;
  fill = 0;
  Atomics.store(words, ${PRODUCED}, produced);
  Atomics.notify(words, ${PRODUCED});
}
function take(chunk) {
  total += chunk.length;
  uncollected += chunk.length;
  if (uncollected > 8 * SLOT) {
    uncollected = 0;
    collect({ type: 'minor' });
  }
  if (total > limit) throw new Error('it unpacks to more than ' + limit + ' bytes');
  for (let at = 0; at < chunk.length; ) {
    if (fill === 0) waitForSlot();
    const count = Math.min(SLOT - fill, chunk.length - at);
    bytes.set(chunk.subarray(at, at + count), (produced % SLOTS) * SLOT + fill);
    fill += count;
    at += count;
    if (fill === SLOT) publish();
  }
}
async function run() {
  const hash = createHash('sha256');
  const gunzip = createGunzip({ chunkSize: SLOT });
  const output = new Promise((resolve, reject) => {
    gunzip.on('data', (chunk) => { try { take(chunk); } catch (error) { reject(error); } });
    gunzip.on('end', resolve);
    gunzip.on('error', reject);
  });
  output.catch(() => {});
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    hash.update(chunk);
    if (!gunzip.write(chunk)) await Promise.race([new Promise((resolve) => gunzip.once('drain', resolve)), output]);
  }
  gunzip.end();
  await output;
  if (fill > 0) publish();
  return hash.digest('hex');
}
run()
  .then((sha256) => parentPort.postMessage({ sha256 }), (error) => parentPort.postMessage({ error: String(error.message) }))
  .then(() => { Atomics.store(words, ${ENDED}, 1); Atomics.notify(words, ${PRODUCED}); });
`;

/**
 * The bytes of a gzip file of any number of members, inflated by a thread of its own. A chunk is valid until the next one is
 * asked for. Returns the digest of the file; bytes that follow the last member are hashed and not looked at otherwise.
 * Fails with a plain Error when the file is damaged or more than `limit` bytes come out.
 */
export async function* gunzipInThread(
  path: string,
  limit: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, GunzipResult, undefined> {
  signal?.throwIfAborted();
  const memory = new SharedArrayBuffer(SLOT * SLOTS);
  const control = new SharedArrayBuffer(4 * (LENGTHS + SLOTS));
  const words = new Int32Array(control);
  const workerData = { path, memory, control, slot: SLOT, slots: SLOTS, limit };
  const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
  const worker = new Worker(WORKER, { eval: true, workerData, execArgv: [], resourceLimits });
  let failure: unknown;
  let result: GunzipResult | undefined;
  const finished = new Promise<void>((resolve) => {
    const settle = (error?: unknown) => {
      failure ??= error;
      resolve();
    };
    worker.on('message', (message: { sha256?: string; error?: string }) => {
      if (message.sha256 !== undefined) result = { sha256: message.sha256 };
      settle(message.error === undefined ? undefined : new Error(message.error));
    });
    worker.on('error', settle);
    worker.on('exit', () => settle());
    signal?.addEventListener('abort', () => settle(signal.reason), { once: true });
  });
  try {
    for (let consumed = 0; ; consumed++) {
      for (;;) {
        const produced = Atomics.load(words, PRODUCED);
        if (produced > consumed) break;
        if (failure !== undefined) throw failure;
        if (result) return result;
        const news = Atomics.waitAsync(words, PRODUCED, produced);
        if (news.async) await Promise.race([news.value, finished]);
      }
      signal?.throwIfAborted();
      const start = (consumed % SLOTS) * SLOT;
      yield new Uint8Array(memory, start, words[LENGTHS + (consumed % SLOTS)]!);
      Atomics.store(words, CONSUMED, consumed + 1);
      Atomics.notify(words, CONSUMED);
    }
  } finally {
    Atomics.store(words, CONSUMED, -1);
    Atomics.notify(words, CONSUMED);
    await worker.terminate();
  }
}
