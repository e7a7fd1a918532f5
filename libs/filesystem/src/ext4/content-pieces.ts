import { PIECE_NUMBERS, type ContentPieces, type ContentRun, type ContentSource } from '@boxship/model';
import type { ContentPlacements } from './content-placements.ts';
import type { FreeRuns } from './free-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';

/** Pieces of one batch: 256 KiB of numbers. */
const BATCH = 8192;

/** What is left of a piece: offset in the stream, bytes, zeros behind them, position in file space. */
interface Rest {
  offset: number;
  length: number;
  zeros: number;
  space: number;
}

/** Where the bytes of a source go, piece by piece; one that lies on both sides of metadata becomes two. */
export function contentPieces(
  source: ContentSource,
  placements: ContentPlacements,
  free: FreeRuns,
  dataStart: number,
  run: ContentRun | undefined,
): ContentPieces {
  const { start, end } = placements.range(source.id);
  const base = dataStart * BLOCK_SIZE;
  let lowest = Infinity;
  let ascending = true;
  for (let piece = start; piece < end; piece++) {
    const target = placements.target(piece);
    if (piece > start && target < placements.target(piece - 1)) ascending = false;
    lowest = Math.min(lowest, target);
  }

  function* batches(): Generator<Float64Array<ArrayBuffer>> {
    const cursor = free.cursor();
    /** Second parts, whose turn comes by their offsets: a tree may hold a source twice, with pieces that overlap. */
    const later: Rest[] = [];
    let batch = new Float64Array(BATCH * PIECE_NUMBERS);
    let filled = 0;
    for (let next = start; next < end || later.length > 0;) {
      let rest: Rest;
      if (later.length > 0 && (next === end || later[0]!.offset <= placements.offset(next))) {
        rest = later.shift()!;
      } else {
        const [offset, length, zeros] = [placements.offset(next), placements.length(next), placements.padding(next)];
        rest = { offset, length, zeros, space: base + placements.target(next) };
        next++;
      }
      const block = Math.floor(rest.space / BLOCK_SIZE);
      const within = rest.space - block * BLOCK_SIZE;
      const room = cursor.left(block) * BLOCK_SIZE - within;
      const length = Math.min(rest.length, room);
      const zeros = Math.min(rest.zeros, room - length);
      batch[filled++] = rest.offset;
      batch[filled++] = length;
      batch[filled++] = cursor.locate(block) * BLOCK_SIZE + within;
      batch[filled++] = zeros;
      if (length < rest.length || zeros < rest.zeros) {
        rest.offset += length;
        rest.length -= length;
        rest.zeros -= zeros;
        rest.space += length + zeros;
        const place = later.findIndex(({ offset }) => offset > rest.offset);
        later.splice(place < 0 ? later.length : place, 0, rest);
      }
      if (filled < batch.length) continue;
      yield batch;
      batch = new Float64Array(BATCH * PIECE_NUMBERS);
      filled = 0;
    }
    if (filled > 0) yield batch.slice(0, filled);
  }

  if (start === end) return { lowest: Infinity, ascending, batches };
  const first = Math.floor((base + lowest) / BLOCK_SIZE);
  return {
    ...{ lowest: free.cursor().locate(first) * BLOCK_SIZE, ascending, batches },
    ...(run ? { run } : {}),
  };
}
