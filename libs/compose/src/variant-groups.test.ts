import { expect, it } from 'vitest';
import { groupByMemory } from './variant-groups.ts';

const group = (entries: number[], memory?: number) => groupByMemory(entries, (item) => Promise.resolve(item), memory);

it('keeps together what has room, in order, and lets what is larger stand alone', async () => {
  const [few, some, many] = [1000, 130_000, 1_000_000];
  expect(await group([])).toEqual([]);
  expect(await group([few, few, few, few, few])).toEqual([
    [few, few, few],
    [few, few],
  ]);
  expect(await group([some, some, some])).toEqual([[some, some], [some]]);
  expect(await group([many, few, many, many, some])).toEqual([[many], [few], [many], [many], [some]]);
  expect(await group([few, few], 1)).toEqual([[few], [few]]);
});
