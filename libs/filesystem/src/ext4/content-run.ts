import type { ByteRange, ContentRun, ContentSource } from '@boxship/model';
import type { ContentPlacements } from './content-placements.ts';
import type { FreeRuns } from './free-runs.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { createRunSequence } from './run-sequence.ts';

/** The run of a source; undefined when its files lie in another order, or one of its bytes is wanted twice. */
export function contentRun(
  source: ContentSource,
  placements: ContentPlacements,
  free: FreeRuns,
  dataStart: number,
): ContentRun | undefined {
  const { start, end } = placements.range(source.id);
  if (start === end) return undefined;
  const first = placements.target(start);
  if (first % BLOCK_SIZE !== 0) return undefined;
  const sequence = createRunSequence();
  let [next, read] = [first, 0];
  for (let piece = start; piece < end; piece++) {
    const [offset, length, padding] = [placements.offset(piece), placements.length(piece), placements.padding(piece)];
    if (placements.target(piece) !== next || offset < read) return undefined;
    next += length + padding;
    read = offset + length;
    sequence.add(offset, length, padding);
  }
  const [from, to] = [dataStart + first / BLOCK_SIZE, dataStart + next / BLOCK_SIZE];
  return { sequence: sequence.digest(), ranges: rangesOf(from, to, free) };
}

/** Where blocks of file space lie, bytes from the start of the file system: apart where metadata lies between. */
function rangesOf(from: number, to: number, free: FreeRuns): readonly ByteRange[] {
  const cursor = free.cursor();
  const ranges: ByteRange[] = [];
  for (let block = from; block < to;) {
    const count = Math.min(cursor.left(block), to - block);
    const start = cursor.locate(block) * BLOCK_SIZE;
    ranges.push({ start, end: start + count * BLOCK_SIZE });
    block += count;
  }
  return ranges;
}
