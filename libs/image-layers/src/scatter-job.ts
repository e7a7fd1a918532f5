import type { MessagePort } from 'node:worker_threads';
import type { SharedPiece } from '@boxship/host';
import type { ByteRange, HandOver } from '@boxship/model';
import type { TargetFile } from './target-writer.ts';

export interface ScatterJobTarget extends TargetFile {
  readonly start: number;
  readonly ascending: boolean;
  /** Its pieces lie one behind the other. */
  readonly isRun: boolean;
  /** Lowest position that is written, `start` included. */
  readonly lowest: number;
  /** What it gets is digested; it is a run. */
  readonly digested: boolean;
  /** Absent: memory of the thread's own. So it is, too, for what is no run. */
  readonly handOver: HandOver | undefined;
}

/**
 * One thread inflates and one puts what comes out to its places, or one does both. It does not wait for messages: batches of
 * pieces are taken by `receiveMessageOnPort`, and `control` counts those that were sent.
 */
export interface ScatterJob {
  readonly path: string;
  /** What of the file is read; all of it when absent. */
  readonly ranges: readonly ByteRange[] | undefined;
  /** The thread inflates what it reads; not so where another one does, which leaves what comes out in `inflated`. */
  readonly gzip: boolean;
  readonly inflated: Inflated | undefined;
  /** Most bytes that may come out. */
  readonly limit: number;
  /** Of `ScatterBatch`. */
  readonly batches: MessagePort;
  /** Batches that were sent. */
  readonly control: Int32Array;
  readonly targets: readonly ScatterJobTarget[];
}

/** Place in `control`. */
export const BATCHES_SENT = 0;

/** What one thread inflates and another one puts to its places: a ring of pieces. */
export interface Inflated {
  readonly out: SharedPiece;
  /** Pieces that were made; that were taken; all that there will be, plus 1 (0 as long as nobody knows); then the length of each. */
  readonly control: Int32Array;
}

/** Places in the `control` of what is inflated. */
export const [MADE, TAKEN, ALL, LENGTHS] = [0, 1, 2, 3];
/** Bytes of a piece of it: two threads' caches hold a few. */
export const OUT_PIECE = 512 * 1024;

/** Reads a file, leaves its pieces where another thread digests them, and inflates. */
export interface InflateJob {
  readonly path: string;
  /** Pieces of input that wait to be digested. */
  readonly input: SharedPiece;
  /** How many of them were. */
  readonly digested: Int32Array;
  readonly inflated: Inflated;
}

/** Bytes of a piece of input. */
export const INPUT_PIECE = 256 * 1024;

export interface InflateMessage {
  /** So many bytes of the next piece of input, in their turn, wait to be digested. */
  readonly read?: number;
  /** All is read. */
  readonly isDone?: true;
  readonly failure?: Failure;
}

/** An error on its way between threads. */
export interface Failure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly syscall?: string | undefined;
  readonly path?: string | undefined;
}

export function failureOf({ message, code, errno, syscall, path }: NodeJS.ErrnoException): Failure {
  return { message, code, errno, syscall, path };
}

/** Blocks the thread until the number at `place` has come so far. */
export function waitUntil(control: Int32Array, place: number, least: number): void {
  for (;;) {
    const now = Atomics.load(control, place);
    if (now >= least) return;
    Atomics.wait(control, place, now, 1000);
  }
}

/** One more. */
export function count(control: Int32Array, place: number): void {
  Atomics.add(control, place, 1);
  Atomics.notify(control, place);
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
    /** SHA-256 of what was read, hex; absent when another thread read it. */
    readonly sha256: string | undefined;
    /** Bytes that came out. */
    readonly total: number;
    /** SHA-256 (hex) of what each target got; absent where that was not asked for. */
    readonly contents: readonly (string | undefined)[];
  };
  readonly failure?: Failure;
}
