import type { ContentSource } from '@boxship/model';
import { S_IFREG, fileType } from './file-mode.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { blockPadding } from './run-sequence.ts';
import type { TreeTable } from './tree-table.ts';

/** A piece is a whole file (its inode's row) or a segment of a sparse one (its row + 2^31). */
const SEGMENT = 2 ** 31;

/** Which bytes of which source go where: pieces by source, and within one by their position in its stream. */
export interface ContentPlacements {
  /** Sources whose bytes are needed. */
  readonly sources: readonly ContentSource[];
  /** Pieces of a source: `[start, end)`; an empty range for one that is not needed. */
  range(sourceId: string): { readonly start: number; readonly end: number };
  /** Position in the stream, bytes. */
  offset(piece: number): number;
  length(piece: number): number;
  /** Position in data space, bytes. */
  target(piece: number): number;
  /** Zeros behind the piece, up to the next piece of the file or to the end of its block. */
  padding(piece: number): number;
}

export function placeContents({ inodes, runs, sources, sparse }: TreeTable): ContentPlacements {
  const isWhole = (row: number) =>
    fileType(inodes.mode.get(row)) === S_IFREG && inodes.size.get(row) > 0 && !sparse.has(row);
  const segmentSource = (segment: number) => inodes.source.get(runs.segmentInode.get(segment));
  const segments = runs.segmentInode.length;

  const starts = new Uint32Array(sources.length + 1);
  for (let row = 0; row < inodes.mode.length; row++) if (isWhole(row)) starts[inodes.source.get(row) + 1]!++;
  for (let segment = 0; segment < segments; segment++) starts[segmentSource(segment) + 1]!++;
  for (let source = 0; source < sources.length; source++) starts[source + 1]! += starts[source]!;
  const next = starts.slice();
  const pieces = new Uint32Array(starts[sources.length]!);
  for (let row = 0; row < inodes.mode.length; row++) {
    if (isWhole(row)) pieces[next[inodes.source.get(row)]!++] = row;
  }
  for (let segment = 0; segment < segments; segment++) pieces[next[segmentSource(segment)]!++] = segment + SEGMENT;

  const offsetOf = (piece: number) =>
    piece < SEGMENT ? inodes.detail.get(piece) : runs.segmentOffset.get(piece - SEGMENT);
  for (let source = 0; source < sources.length; source++) {
    const own = pieces.subarray(starts[source], starts[source + 1]);
    // a tree in the order of its layers is sorted already
    for (let at = 1; at < own.length; at++) {
      if (offsetOf(own[at - 1]!) <= offsetOf(own[at]!)) continue;
      own.sort((a, b) => offsetOf(a) - offsetOf(b) || a - b);
      break;
    }
  }

  const rows = new Map(sources.map((source, row) => [source.id, row]));
  const lengthOf = (piece: number) =>
    piece < SEGMENT ? inodes.size.get(piece) : runs.segmentLength.get(piece - SEGMENT);
  const targetOf = (piece: number) =>
    piece < SEGMENT ? inodes.block.get(piece) * BLOCK_SIZE : runs.segmentTarget.get(piece - SEGMENT);
  return {
    sources: sources.filter((_, source) => starts[source]! < starts[source + 1]!),
    range(id) {
      const source = rows.get(id);
      return source === undefined ? { start: 0, end: 0 } : { start: starts[source]!, end: starts[source + 1]! };
    },
    offset: (piece) => offsetOf(pieces[piece]!),
    length: (piece) => lengthOf(pieces[piece]!),
    target: (piece) => targetOf(pieces[piece]!),
    padding(at) {
      const piece = pieces[at]!;
      const end = targetOf(piece) + lengthOf(piece);
      const segment = piece - SEGMENT;
      const goesOn =
        segment >= 0 && segment + 1 < segments && runs.segmentInode.get(segment) === runs.segmentInode.get(segment + 1);
      if (goesOn) return runs.segmentTarget.get(segment + 1) - end;
      return blockPadding(end);
    },
  };
}
