import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { sharedBytes } from '@boxship/host';
import { createInflater } from './inflate-in-place.ts';
import { createPiecePlacer } from './place-pieces.ts';
import { readInput } from './read-input.ts';
import { ALL, count, failureOf, LENGTHS, MADE, OUT_PIECE, TAKEN, waitUntil, type Inflated, type ScatterJob, type ScatterMessage } from './scatter-job.ts'; // prettier-ignore

const port = parentPort!;
const tell = (message: ScatterMessage) => port.postMessage(message);

/** Bytes of the stream from one message about it to the next. */
const TOLD = 2 * 1024 * 1024;

async function scatter(job: ScatterJob): Promise<NonNullable<ScatterMessage['result']>> {
  const { path, ranges, gzip, inflated, limit, targets } = job;
  const placer = createPiecePlacer(job, (taken) => tell({ taken }));
  let [total, told] = [0, 0];
  const tellProgress = () => {
    tell({ bytes: total - told, progress: placer.progress() });
    told = total;
  };
  const chunk = (bytes: Buffer, length: number): void => {
    total += length;
    if (total > limit) throw new Error(`it unpacks to more than ${limit} bytes`);
    placer.put(bytes, length);
    if (total - told >= TOLD) tellProgress();
  };
  await placer.begin();
  const hash = inflated ? undefined : createHash('sha256');
  if (inflated) {
    for (const bytes of readInflated(inflated)) {
      chunk(bytes, bytes.length);
      await placer.catchUp();
    }
  } else {
    const out = gzip ? Buffer.allocUnsafeSlow(OUT_PIECE) : undefined;
    using inflater =
      out &&
      createInflater(
        OUT_PIECE,
        (length) => chunk(out, length),
        () => out,
      );
    for await (const bytes of readInput(path, ranges, targets[0]?.directWay)) {
      hash!.update(bytes);
      if (inflater) inflater.push(bytes);
      else chunk(bytes, bytes.length);
      await placer.catchUp();
    }
    inflater?.end();
  }
  await placer.end();
  tellProgress();
  return { sha256: hash?.digest('hex'), total, contents: placer.contents() };
}

/** What another thread inflates, piece by piece. One is valid until the next one is asked for. */
function* readInflated({ out, control }: Inflated): Generator<Buffer> {
  const pieces = sharedBytes(out);
  const places = pieces.length / OUT_PIECE;
  for (let taken = 0; ; taken++) {
    waitUntil(control, MADE, taken + 1);
    if (taken + 1 === Atomics.load(control, ALL)) return;
    const place = taken % places;
    yield pieces.subarray(place * OUT_PIECE, place * OUT_PIECE + Atomics.load(control, LENGTHS + place));
    count(control, TAKEN);
  }
}

port.on('message', (job: ScatterJob) => {
  scatter(job).then(
    (result) => {
      job.batches.close();
      tell({ result });
    },
    (error: NodeJS.ErrnoException) => tell({ failure: failureOf(error) }),
  );
});
