import { expect, it } from 'vitest';
import { groupByEntries } from './variant-groups.ts';

const group = (entries: number[], limit: number) => groupByEntries(entries, (item) => Promise.resolve(item), limit);

it('keeps together what fits, in order, and lets what is larger stand alone', async () => {
  expect(await group([], 10)).toEqual([]);
  expect(await group([3, 4, 3], 10)).toEqual([[3, 4, 3]]);
  expect(await group([3, 4, 4, 30, 1, 1], 10)).toEqual([[3, 4], [4], [30], [1, 1]]);
});
