import { describe, expect, it } from 'vitest';
import { float64Column, uint32Column } from './column.ts';

const CHUNK = 65_536;

describe('a column', () => {
  it('has what was put into it, whether chunks are all equal or not', () => {
    const column = uint32Column();
    const expected: number[] = [];
    const push = (value: number) => {
      expect(column.push(value)).toBe(expected.length);
      expected.push(value);
    };
    for (let at = 0; at < CHUNK + 10; at++) push(7); // one chunk of equals, and the start of another
    push(8);
    for (let at = 0; at < CHUNK; at++) push(at);
    column.set(3, 9); // in the chunk of equals
    expected[3] = 9;
    column.set(4, 7);
    expect(column.add(5, 2)).toBe(9);
    expected[5] = 9;
    expect(column.add(6, 0)).toBe(7);
    expect(column.length).toBe(expected.length);
    expect(expected.findIndex((value, at) => column.get(at) !== value)).toBe(-1);
  });

  it('changes the only number of a chunk', () => {
    const column = float64Column();
    expect(column.push(0)).toBe(0);
    column.set(0, 2 ** 40 + 0.5);
    expect(column.push(2 ** 40 + 0.5)).toBe(1);
    column.set(1, -1);
    expect([column.get(0), column.get(1), column.length]).toEqual([2 ** 40 + 0.5, -1, 2]);
  });

  it.each([1, 255, 256, 257, 1000, CHUNK - 1, CHUNK])('is short as long as it has few numbers: %d', (count) => {
    for (const first of [0, count - 1]) {
      const column = uint32Column();
      for (let at = 0; at < count; at++) column.push(7);
      column.set(first, 8); // not all are equal from now on
      for (let at = count; at < 2 * count; at++) column.push(at);
      const expected = Array.from({ length: 2 * count }, (_, at) => (at === first ? 8 : at < count ? 7 : at));
      expect(expected.findIndex((value, at) => column.get(at) !== value)).toBe(-1);
    }
  });
});
