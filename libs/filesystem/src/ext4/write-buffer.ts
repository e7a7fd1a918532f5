import type { RandomWriter } from '@boxship/model';

/** Bytes of one buffer: 1 MiB. */
const BUFFER = 1 << 20;

/** Runs that may grow at the same time: a source whose bytes go to several places keeps each of them sequential. */
const LANES = 4;

/** Writes under way before `add` asks its caller to wait. */
const IN_FLIGHT = 2;

/** A run of bytes that is being collected: `buffer[0, fill)` belongs at `start`. */
interface Lane {
  buffer: Uint8Array;
  start: number;
  fill: number;
  lastUse: number;
}

/** A write under way. */
interface Write {
  readonly start: number;
  done: Promise<void>;
}

/** Collects small pieces into large writes that end at multiples of 1 MiB of the target. */
export class WriteBuffer {
  readonly #target: RandomWriter;
  readonly #bufferSize: number;
  readonly #lanes: Lane[] = [];
  readonly #spare: Uint8Array[] = [];
  readonly #inFlight: Write[] = [];
  #uses = 0;
  #failure: unknown;

  /** `atMost`: bytes that will be added in all, when that is known: a small file needs no large buffer. */
  constructor(target: RandomWriter, atMost: number = BUFFER) {
    this.#target = target;
    this.#bufferSize = Math.min(BUFFER, atMost);
  }

  /**
   * Copies `bytes[from, to)`, which belong at `position`. The copy is made at once; when a promise is returned, wait for
   * it before the next call, so that memory stays bounded. Pass at most 1 MiB.
   */
  add(position: number, bytes: Uint8Array, from: number, to: number): Promise<void> | undefined {
    let lane = this.#laneAt(position);
    while (from < to) {
      const room = BUFFER - (lane.start % BUFFER) - lane.fill;
      const length = Math.min(room, to - from);
      lane.buffer.set(from === 0 && length === bytes.length ? bytes : bytes.subarray(from, from + length), lane.fill);
      lane.fill += length;
      from += length;
      if (length === room) lane = this.#renew(lane);
    }
    return this.#inFlight.length >= IN_FLIGHT || this.#failure !== undefined ? this.#settle(IN_FLIGHT - 1) : undefined;
  }

  /** Lowest position whose bytes were added but are not with the target yet; Infinity when there is none. */
  pending(): number {
    let lowest = Infinity;
    for (const { start, fill } of this.#lanes) if (fill > 0 && start < lowest) lowest = start;
    for (const { start } of this.#inFlight) if (start < lowest) lowest = start;
    return lowest;
  }

  /** Writes what is left, waits for all of it, and gives back the memory: whoever asks for `pending` may stay for long. */
  async end(): Promise<void> {
    for (const lane of this.#lanes.splice(0)) this.#flush(lane);
    await this.#settle(0);
    this.#spare.length = 0;
  }

  /** The lane that ends at `position`, else a new one. */
  #laneAt(position: number): Lane {
    this.#uses++;
    for (const lane of this.#lanes) {
      if (lane.start + lane.fill === position) {
        lane.lastUse = this.#uses;
        return lane;
      }
    }
    let lane: Lane | undefined;
    if (this.#lanes.length < LANES) {
      lane = { buffer: this.#takeBuffer(), start: position, fill: 0, lastUse: this.#uses };
      this.#lanes.push(lane);
      return lane;
    }
    lane = this.#lanes.reduce((oldest, other) => (other.lastUse < oldest.lastUse ? other : oldest));
    this.#flush(lane);
    lane.buffer = this.#takeBuffer();
    lane.start = position;
    lane.fill = 0;
    lane.lastUse = this.#uses;
    return lane;
  }

  #renew(lane: Lane): Lane {
    const next = lane.start + lane.fill;
    this.#flush(lane);
    lane.buffer = this.#takeBuffer();
    lane.start = next;
    lane.fill = 0;
    return lane;
  }

  #takeBuffer(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(this.#bufferSize);
  }

  #flush({ buffer, start, fill }: Lane): void {
    if (fill === 0 || this.#failure !== undefined) {
      this.#spare.push(buffer);
      return;
    }
    const bytes = fill === buffer.length ? buffer : buffer.subarray(0, fill);
    const writing: Write = { start, done: Promise.resolve() };
    writing.done = this.#target.write(start, bytes).then(
      () => this.#finish(writing, buffer),
      (error: unknown) => {
        this.#failure ??= error ?? new Error('write failed');
        this.#finish(writing, buffer);
      },
    );
    this.#inFlight.push(writing);
  }

  #finish(writing: Write, buffer: Uint8Array): void {
    this.#inFlight.splice(this.#inFlight.indexOf(writing), 1);
    if (this.#spare.length < IN_FLIGHT) this.#spare.push(buffer);
  }

  /** Waits until at most `left` writes are under way; throws the first failure. */
  async #settle(left: number): Promise<void> {
    while (this.#inFlight.length > left) await this.#inFlight[0]!.done;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
