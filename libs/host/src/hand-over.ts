import { MiB, type HandOver } from '@boxship/model';
import { sharedBytes, shareMemory } from './shared-memory.ts';

/** Bytes of a buffer. */
export const HAND_OVER_BUFFER = MiB;

/** Of a buffer, in `control`: a writer fills it or the disk still takes it; the reader may take it; the reader has it. */
const [HELD, READABLE, READING] = [1, 2, 4];
/** Places in `control`: the count of changes; whether the reader comes by. The buffers follow. */
const [CHANGES, COMES, BUFFERS] = [0, 1, 2];
/** Place of the reader's position in `places`; two numbers for each buffer follow. */
const READER = 0;

/** A reader that comes by and has not moved for so long waits for something else. Milliseconds. */
const PATIENCE = 250;
/** One look at what has changed. Milliseconds. */
const LOOK = 5;

/** Undefined where no memory can be shared: bytes then go by way of the file alone. */
export function newHandOver(buffers: number): OpenHandOver | undefined {
  const block = shareMemory(buffers * HAND_OVER_BUFFER);
  if (!block) return undefined;
  return {
    handOver: {
      ...{ memory: block.memory, at: block.at, buffers },
      control: new Int32Array(new SharedArrayBuffer((BUFFERS + buffers) * 4)),
      places: new Float64Array(new SharedArrayBuffer((1 + 2 * buffers) * 8)),
    },
    [Symbol.dispose]: () => block[Symbol.dispose](),
  };
}

export interface OpenHandOver extends Disposable {
  readonly handOver: HandOver;
}

/** Wakes who waits for anything that has to do with these buffers. */
export function noteChange({ control }: HandOver): void {
  Atomics.add(control, CHANGES, 1);
  Atomics.notify(control, CHANGES);
}

/**
 * All that the reader finds in the file before it gets to these buffers is there. Until then it is waited for, however long it takes;
 * from then on as long as it moves.
 */
export function letReaderCome(handOver: HandOver): void {
  Atomics.store(handOver.control, COMES, 1);
  noteChange(handOver);
}

/**
 * Fills buffers, in the one thread that writes what the reader will read next. It is no further ahead of the reader than the buffers
 * go: what is written and read at the same time costs a disk more than twice as much as what is written alone.
 */
export interface HandOverWriter {
  /** A buffer to fill; undefined when none is free that the reader does not want any more. */
  take(): Buffer | undefined;
  /** The reader may take its first `length` bytes, which belong at `position` of the file. They stay as they are until `done`. */
  offer(buffer: Buffer, position: number, length: number): void;
  /** The buffer is not used any more; the reader may still take what it was offered. */
  done(buffer: Buffer): void;
  /** Buffers that `take` would give. */
  free(): number;
  /** Blocks the thread for a moment, until the reader has moved. After a while without that, `take` gives what it is waited for. */
  wait(): void;
}

export function handOverWriter(handOver: HandOver): HandOverWriter {
  const { buffers, control, places } = handOver;
  const bytes = bytesOf(handOver);
  const numbers = new Map(bytes.map((buffer, number) => [buffer.byteOffset, number]));
  /** Milliseconds since which the reader has been at that place. */
  let [stuckSince, stuckAt] = [Infinity, -1];
  const isWanted = (number: number) => {
    const [position, length] = [places[1 + 2 * number]!, places[2 + 2 * number]!];
    const reader = places[READER]!;
    return position + length > reader && !(reader === stuckAt && performance.now() - stuckSince > PATIENCE);
  };
  const isFree = (number: number) => {
    const state = Atomics.load(control, BUFFERS + number);
    return state === 0 || (state === READABLE && !isWanted(number));
  };
  return {
    take() {
      // what holds nothing first, then what lies lowest
      let [best, lowest] = [-1, Infinity];
      for (let number = 0; number < buffers; number++) {
        if (!isFree(number)) continue;
        const position = Atomics.load(control, BUFFERS + number) === 0 ? -1 : places[1 + 2 * number]!;
        if (position < lowest) [best, lowest] = [number, position];
      }
      if (best < 0) return undefined;
      for (const state of [0, READABLE]) {
        if (Atomics.compareExchange(control, BUFFERS + best, state, HELD) === state) return bytes[best];
      }
      return undefined; // the reader or another writer was quicker
    },
    offer(buffer, position, length) {
      const number = numbers.get(buffer.byteOffset)!;
      places[1 + 2 * number] = position;
      places[2 + 2 * number] = length;
      Atomics.or(control, BUFFERS + number, READABLE);
      noteChange(handOver);
    },
    done(buffer) {
      Atomics.and(control, BUFFERS + numbers.get(buffer.byteOffset)!, ~HELD);
      noteChange(handOver);
    },
    free() {
      let count = 0;
      for (let number = 0; number < buffers; number++) if (isFree(number)) count++;
      return count;
    },
    wait() {
      const changes = Atomics.load(control, CHANGES);
      const isMoving = places[READER] !== stuckAt || Atomics.load(control, COMES) === 0;
      if (isMoving) [stuckSince, stuckAt] = [performance.now(), places[READER]!];
      Atomics.wait(control, CHANGES, changes, LOOK);
    },
  };
}

/** Takes what is in the buffers, in the thread that reads. */
export interface HandOverReader {
  /** The bytes of the file from `position` on, as many as lie in one buffer; undefined when there are none. They stay until `release`. */
  take(position: number): { readonly bytes: Buffer; release(): void } | undefined;
  /** Lowest position of a buffer between these two; undefined when there is none. */
  nextBetween(start: number, end: number): number | undefined;
  /** Everything before `position` has been taken, from here or from the file. */
  passed(position: number): void;
  /** For `wait`: look at what is there between the two calls. */
  changes(): number;
  /** Blocks the thread until there is a change since `changes`; a second at most. */
  wait(changes: number): void;
}

export function handOverReader(handOver: HandOver): HandOverReader {
  const { buffers, control, places } = handOver;
  const bytes = bytesOf(handOver);
  const isAt = (number: number, position: number) => {
    const offset = position - places[1 + 2 * number]!;
    return offset >= 0 && offset < places[2 + 2 * number]!;
  };
  return {
    take(position) {
      for (let number = 0; number < buffers; number++) {
        const state = Atomics.load(control, BUFFERS + number);
        if ((state & READABLE) === 0 || !isAt(number, position)) continue;
        const taken = (state & ~READABLE) | READING;
        if (Atomics.compareExchange(control, BUFFERS + number, state, taken) !== state) {
          number--; // it was written meanwhile, or is another one's: look again
          continue;
        }
        if (!isAt(number, position)) {
          // taken and filled with something else since the first look
          Atomics.or(control, BUFFERS + number, READABLE);
          Atomics.and(control, BUFFERS + number, ~READING);
          continue;
        }
        const offset = position - places[1 + 2 * number]!;
        return {
          bytes: bytes[number]!.subarray(offset, places[2 + 2 * number]),
          release() {
            Atomics.and(control, BUFFERS + number, ~READING);
            noteChange(handOver);
          },
        };
      }
      return undefined;
    },
    nextBetween(start, end) {
      let lowest: number | undefined;
      for (let number = 0; number < buffers; number++) {
        if ((Atomics.load(control, BUFFERS + number) & READABLE) === 0) continue;
        const position = places[1 + 2 * number]!;
        if (position > start && position < end && !(lowest! <= position)) lowest = position;
      }
      return lowest;
    },
    passed(position) {
      places[READER] = position;
    },
    changes: () => Atomics.load(control, CHANGES),
    wait: (changes) => void Atomics.wait(control, CHANGES, changes, 1000),
  };
}

function bytesOf(handOver: HandOver): readonly Buffer[] {
  const { memory, at, buffers } = handOver;
  const all = sharedBytes({ memory, at, size: buffers * HAND_OVER_BUFFER });
  return Array.from({ length: buffers }, (_, number) =>
    all.subarray(number * HAND_OVER_BUFFER, (number + 1) * HAND_OVER_BUFFER),
  );
}
