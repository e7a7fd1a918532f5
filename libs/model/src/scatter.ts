/** Numbers of one piece in a batch: its offset in the stream, length, position in the target, zeros that follow it. */
export const PIECE_NUMBERS = 4;

/** Which bytes of a stream belong where in a target: a million of them must not be a million objects. */
export interface ContentPieces {
  /** Lowest position that any piece has; Infinity when there is none. */
  readonly lowest: number;
  /** Positions grow with the offsets. */
  readonly ascending: boolean;
  /** Pieces by ascending offset, PIECE_NUMBERS numbers each, in bytes. A batch belongs to who takes it. */
  batches(): Iterable<Float64Array<ArrayBuffer>>;
}

/** A file that takes pieces of a stream. */
export interface ScatterTarget {
  /** Open for writing until the scattering is over. */
  readonly descriptor: number;
  /** For errors. */
  readonly path: string;
  /** Added to the positions of the pieces. */
  readonly start: number;
  readonly pieces: ContentPieces;
  /** `bytes` were written since the last call; nothing below `pending` will be written any more. */
  onWritten(bytes: number, pending: number): void;
}

export interface ScatterOptions {
  /** Bytes of the stream since the last call. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}
