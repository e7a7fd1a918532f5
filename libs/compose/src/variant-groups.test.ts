import { expect, it } from 'vitest';
import { groupByMemory } from './variant-groups.ts';

/** Items are the entries of one layer each; equal ones are the same layer. */
const group = (entries: number[], memory?: number) =>
  groupByMemory(entries, (some) => Promise.resolve([...new Set(some)].reduce((sum, count) => sum + count, 0)), memory);

it('keeps together what has room, in order, and lets what is larger stand alone', async () => {
  const [few, some, many] = [1000, 130_000, 1_000_000];
  expect(await group([])).toEqual([]);
  expect(await group([few, few, few, few, few])).toEqual([[few, few, few, few], [few]]);
  expect(await group([some, some + 1, some + 2])).toEqual([[some, some + 1, some + 2]]);
  expect(await group([many, many + 1, few, many])).toEqual([[many], [many + 1, few], [many]]);
  expect(await group([few, few], 1)).toEqual([[few], [few]]);
});

it('counts what several hold once: two variants of a million files have room when these are the same', async () => {
  const many = 1_000_000;
  expect(await group([many, many, many])).toEqual([[many, many], [many]]);
});
