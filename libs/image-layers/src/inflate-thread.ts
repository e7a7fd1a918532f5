import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { sharedBytes } from '@boxship/host';
import { createInflater } from './inflate-in-place.ts';
import { ALL, count, failureOf, INPUT_PIECE, LENGTHS, MADE, OUT_PIECE, TAKEN, waitUntil, type InflateJob, type InflateMessage } from './scatter-job.ts'; // prettier-ignore

const port = parentPort!;
const tell = (message: InflateMessage) => port.postMessage(message);

/** All of it: nothing but reading and inflating, which is what takes longest. */
function inflate({ path, input, digested, inflated: { out, control } }: InflateJob): void {
  const [memory, pieces] = [sharedBytes(input), sharedBytes(out)];
  const [places, outPlaces] = [memory.length / INPUT_PIECE, pieces.length / OUT_PIECE];
  let made = 0;
  const inflater = createInflater(OUT_PIECE, (length) => {
    Atomics.store(control, LENGTHS + (made % outPlaces), length);
    made++;
    count(control, MADE);
  }, () => {
    waitUntil(control, TAKEN, made - outPlaces + 1);
    const at = (made % outPlaces) * OUT_PIECE;
    return pieces.subarray(at, at + OUT_PIECE);
  }); // prettier-ignore
  const descriptor = openSync(path, 'r');
  try {
    for (let piece = 0; ; piece++) {
      waitUntil(digested, 0, piece - places + 1);
      const at = (piece % places) * INPUT_PIECE;
      const length = readSync(descriptor, memory, at, INPUT_PIECE, piece * INPUT_PIECE);
      if (length === 0) break;
      tell({ read: length });
      inflater.push(memory.subarray(at, at + length));
    }
    inflater.end();
  } finally {
    closeSync(descriptor);
    inflater[Symbol.dispose]();
  }
  Atomics.store(control, ALL, made + 1);
  count(control, MADE); // wakes who waits for more
}

port.on('message', (job: InflateJob) => {
  try {
    inflate(job);
    tell({ isDone: true });
  } catch (error) {
    tell({ failure: failureOf(error as NodeJS.ErrnoException) });
  }
});
