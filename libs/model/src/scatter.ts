import type { ByteRange } from './random-access.ts';

/** Numbers of one piece in a batch: its offset in the stream, length, position in the target, zeros that follow it. */
export const PIECE_NUMBERS = 4;

/** The places of a stream that lie in its order, each with its zeros. */
export interface ContentRun {
  /** Equal for all targets that get equal bytes in equal order of equal streams. */
  readonly sequence: string;
  /** What holds them and nothing else, ascending and apart. In bytes, positions as those of the pieces. */
  readonly ranges: readonly ByteRange[];
}

/** Which bytes of a stream belong where in a target: a million of them must not be a million objects. */
export interface ContentPieces {
  /** Lowest position that any piece has; Infinity when there is none. */
  readonly lowest: number;
  /** Positions grow with the offsets. */
  readonly ascending: boolean;
  /** Of pieces that lie one behind the other in the order of the stream and take no byte twice; absent for all others. */
  readonly run?: ContentRun;
  /** Pieces by ascending offset, PIECE_NUMBERS numbers each, in bytes. A batch belongs to who takes it. */
  batches(): Iterable<Float64Array<ArrayBuffer>>;
}

/**
 * Whether a file goes past the page cache: one number, shared by all threads that write it or read right behind, since what is in
 * the page cache is best read from there, and what is not, not through it.
 */
export type DirectWay = Int32Array<SharedArrayBuffer>;

/** A memory of WebAssembly's that several threads have: it can be sent to them. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/**
 * Buffers between those who write a file and who reads it right behind them: what is written is read from memory as long as it is
 * there. Plain data for other threads; who uses it is in libs/host.
 */
export interface HandOver {
  readonly memory: SharedMemory;
  /** Of the first buffer in the memory, bytes. */
  readonly at: number;
  readonly buffers: number;
  /** Counts changes, and has the state of each buffer. */
  readonly control: Int32Array<SharedArrayBuffer>;
  /** How far the reader is, then position and length of what is in each buffer: positions in the file, bytes. */
  readonly places: Float64Array<SharedArrayBuffer>;
}

/** A file that takes pieces of a stream. */
export interface ScatterTarget {
  /** Open for writing until the scattering is over. */
  readonly descriptor: number;
  /** Of the file, for errors and to open it once more. */
  readonly path: string;
  /** Its bytes may go past the page cache, as long as this says so. */
  readonly directWay?: DirectWay | undefined;
  /** Who writes fills these buffers, so that who reads behind finds them. */
  readonly handOver?: HandOver | undefined;
  /** Added to the positions of the pieces. */
  readonly start: number;
  readonly pieces: ContentPieces;
  /** `bytes` were written since the last call; nothing below `pending` will be written any more, but see `onRewritten`. */
  onWritten(bytes: number, pending: number): void;
  /** What was written is not what it should be, and is written once more from the start: what was read of it counts for nothing. */
  onRewritten?(): void;
  /**
   * When all is written, and what was read is what it should be: SHA-256 (hex) of what the target got, zeros included, taken
   * from memory, or known. For pieces that are a run; others are never told.
   */
  onContent?(sha256: string): void;
  /** What `onContent` will be told, where that is known of bytes whose source verifies them: they are not digested again. */
  readonly content?: string | undefined;
}

export interface ScatterOptions {
  /** Bytes of the stream since the last call. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}
