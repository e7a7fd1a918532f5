import { UserError, type ContentSource, type RandomWriter } from '@boxship/model';
import type { ContentPlacements } from './content-placements.ts';
import type { FreeRuns } from './free-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { WriteBuffer } from './write-buffer.ts';

/** Takes the stream of one source, chunk by chunk. One call at a time; chunks may be used again when it resolves. */
export interface ContentWriter {
  /** Errors: those of the target, from this call or an earlier one. */
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves when all bytes are with the target. Errors: CONTENT_TOO_SHORT. */
  end(): Promise<void>;
  /** Lowest position of the target that this writer may still write; Infinity after `end`. */
  pending(): number;
}

/** Most bytes that are handed to the buffer at once. */
const PIECE = 1 << 20;

/** A writer that spreads a source over the blocks of its files, which start at `dataStart` of file space. */
export function openContentWriter(
  source: ContentSource,
  placements: ContentPlacements,
  free: FreeRuns,
  dataStart: number,
  target: RandomWriter,
): ContentWriter {
  const { start, end } = placements.range(source.id);
  let needed = 0;
  let total = 0;
  let lowest = Infinity;
  /** Places come in the order of the stream, as they do unless the tree holds a source twice or in another order. */
  let ascending = true;
  for (let piece = start; piece < end; piece++) {
    needed = Math.max(needed, placements.offset(piece) + placements.length(piece));
    total += placements.length(piece) + placements.padding(piece);
    if (piece > start && placements.target(piece) < placements.target(piece - 1)) ascending = false;
    lowest = Math.min(lowest, placements.target(piece));
  }
  const out = new WriteBuffer(target, total);
  const cursor = free.cursor();
  const base = dataStart * BLOCK_SIZE;
  let next = start;
  let position = 0;
  /** Pieces that have begun and go on in the next chunk, in the order of their offsets. */
  let open: number[] = [];
  let ended = false;

  /** Copies `chunk[from, to)` to `spaceByte` of file space; a promise when the buffer wants its caller to wait. */
  const copy = (chunk: Uint8Array, from: number, to: number, spaceByte: number): Promise<void> | undefined => {
    const block = Math.floor(spaceByte / BLOCK_SIZE);
    const within = spaceByte - block * BLOCK_SIZE;
    const room = cursor.left(block) * BLOCK_SIZE - within;
    if (to - from <= room && to - from <= PIECE) {
      return out.add(cursor.locate(block) * BLOCK_SIZE + within, chunk, from, to);
    }
    const length = Math.min(room, PIECE);
    const wait = out.add(cursor.locate(block) * BLOCK_SIZE + within, chunk, from, from + length);
    if (!wait) return copy(chunk, from + length, to, spaceByte + length);
    return wait.then(() => copy(chunk, from + length, to, spaceByte + length));
  };

  /** A cursor of its own: the other one stays where the next bytes go. */
  const places = free.cursor();
  const locate = (space: number) => {
    const block = Math.floor((base + space) / BLOCK_SIZE);
    return places.locate(block) * BLOCK_SIZE;
  };

  return {
    async write(chunk) {
      const chunkEnd = position + chunk.length;
      const carried = open;
      open = [];
      for (let index = 0; ; index++) {
        let piece: number;
        if (index < carried.length) piece = carried[index]!;
        else if (next < end && placements.offset(next) < chunkEnd) piece = next++;
        else break;
        const offset = placements.offset(piece);
        const stop = offset + placements.length(piece);
        const from = Math.max(0, offset - position);
        const to = Math.min(chunk.length, stop - position);
        const target = base + placements.target(piece) + position + from - offset;
        const wait = copy(chunk, from, to, target);
        if (wait) await wait;
        if (stop > chunkEnd) {
          open.push(piece);
          continue;
        }
        const zeros = placements.padding(piece);
        const padded = zeros > 0 ? copy(ZEROS, 0, zeros, target + to - from) : undefined;
        if (padded) await padded;
      }
      position = chunkEnd;
    },
    pending() {
      if (ended || start === end) return Infinity;
      let space = lowest;
      if (ascending) {
        space = next < end ? placements.target(next) : Infinity;
        for (const piece of open) {
          space = Math.min(space, placements.target(piece) + Math.max(0, position - placements.offset(piece)));
        }
        if (space === Infinity) return out.pending();
      }
      return Math.min(out.pending(), locate(space));
    },
    async end() {
      await out.end();
      ended = true;
      if (position < needed) {
        throw new UserError(
          'CONTENT_TOO_SHORT',
          `${source.id} ended after ${position} bytes, its files need ${needed}`,
          'The source is cut short: fetch it again.',
        );
      }
    },
  };
}

/** Padding is below two blocks: the rest of one, and the start of the next where a segment does not begin with a block. */
const ZEROS = new Uint8Array(2 * BLOCK_SIZE);
