import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withScratch } from '@boxship/host';
import { PIECE_NUMBERS, type ContentPieces, type ContentSource } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { planExt4 } from './index.ts';
import { OPTIONS, writeImage } from './testing/image.ts';
import { file, sampleTree, treeOf } from './testing/sample-tree.ts';

const MiB = 2 ** 20;

/** All pieces: offset in the stream, length, position, zeros. */
function piecesOf(batches: ContentPieces['batches']): (readonly [number, number, number, number])[] {
  const numbers = [...batches()].flatMap((batch) => [...batch]);
  const pieces: [number, number, number, number][] = [];
  for (let at = 0; at < numbers.length; at += PIECE_NUMBERS) {
    pieces.push(numbers.slice(at, at + PIECE_NUMBERS) as [number, number, number, number]);
  }
  return pieces;
}

describe('the pieces of a source', () => {
  it('make the image that writers make, byte for byte', async () => {
    await withScratch(async (scratch) => {
      await writeImage(sampleTree(), join(scratch, 'a'));
      const plan = planExt4(sampleTree(), OPTIONS);
      const memory = Buffer.alloc(plan.sizeBytes);
      await plan.writeMetadata({ write: (position, bytes) => Promise.resolve(memory.set(bytes, position)) });
      for (const source of plan.sources()) {
        const chunks: Buffer[] = [];
        for await (const chunk of source.open()) chunks.push(Buffer.from(chunk));
        const { lowest, batches } = plan.contentPieces(source);
        let found = Infinity;
        for (const [offset, length, position, zeros] of piecesOf(batches)) {
          Buffer.concat(chunks).copy(memory, position, offset, offset + length);
          memory.fill(0, position + length, position + length + zeros);
          found = Math.min(found, position);
        }
        expect(lowest).toBe(found);
      }
      expect(Buffer.compare(memory, await readFile(join(scratch, 'a')))).toBe(0);
    });
  });

  it('are cut around metadata, and stay in the order of the stream when a source comes twice', () => {
    const filler: ContentSource = { id: 'filler', size: 1500 * MiB, open: () => expect.fail('not to be read') };
    const half = filler.size / 2;
    const plan = planExt4(
      treeOf(file('a', filler, 0, filler.size), file('b', filler, 0, half), file('c', filler, half - 1, half)),
      OPTIONS,
    );
    const { ascending, lowest, batches, run } = plan.contentPieces(filler);
    expect([run, plan.contentRun(filler)]).toEqual([undefined, undefined]); // bytes that are wanted twice
    const pieces = piecesOf(batches);
    expect(pieces.length).toBeGreaterThan(6);
    expect(pieces.map(([offset]) => offset)).toEqual(pieces.map(([offset]) => offset).sort((a, b) => a - b));
    expect(pieces.reduce((sum, [, length]) => sum + length, 0)).toBe(2 * filler.size);
    expect(ascending).toBe(true); // before they are cut
    expect(lowest).toBe(Math.min(...pieces.map(([, , position]) => position)));
    const places = pieces.map(([, length, position, zeros]) => [position, position + length + zeros] as const);
    for (const [start, end] of places) {
      expect(plan.mapped.some((range) => range.start <= start && end <= range.end)).toBe(true);
    }
    places.sort(([a], [b]) => a - b);
    for (const [index, [start]] of places.entries()) {
      if (index > 0) expect(start).toBeGreaterThanOrEqual(places[index - 1]![1]);
    }
  });

  it('are one run with ranges of its own, the same wherever the source lies', () => {
    const layer: ContentSource = { id: 'layer', size: 700 * MiB, open: () => expect.fail('not to be read') };
    const other: ContentSource = { id: 'other', size: 200 * MiB, open: () => expect.fail('not to be read') };
    const files = (middle: number) => [
      file('a', layer, 512, 300 * MiB + 1),
      file('b', layer, 512 + 300 * MiB + 1 + middle, 300 * MiB - 7),
    ];
    const alone = planExt4(treeOf(...files(511)), OPTIONS);
    const behind = planExt4(treeOf(file('0', other, 0, other.size), ...files(511)), OPTIONS);
    const moved = planExt4(treeOf(...files(1023)), OPTIONS);
    const turned = planExt4(treeOf(...files(511).reverse()), OPTIONS);
    const { sequence } = alone.contentPieces(layer).run!;
    expect(sequence).toMatch(/^[0-9a-f]{64}$/);
    expect(behind.contentRun(layer)!.sequence).toBe(sequence);
    expect(moved.contentRun(layer)!.sequence).not.toBe(sequence);
    expect(turned.contentRun(layer)).toBeUndefined();

    const ranges = behind.contentRun(layer)!.ranges;
    expect(ranges.length).toBeGreaterThan(1); // metadata of groups lies between
    expect(ranges).not.toEqual(alone.contentRun(layer)!.ranges);
    const places = piecesOf(behind.contentPieces(layer).batches).map(([, length, position, zeros]) => ({
      start: position,
      end: position + length + zeros,
    }));
    const joined: { start: number; end: number }[] = [];
    for (const { start, end } of places) {
      if (joined.at(-1)?.end === start) joined.at(-1)!.end = end;
      else joined.push({ start, end });
    }
    expect(joined).toEqual(ranges);
  });
});
