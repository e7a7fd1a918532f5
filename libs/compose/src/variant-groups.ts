import { MiB } from '@boxship/model';

/**
 * What variants that are composed together may take, beside the program itself, which has 256 MiB in all. Measured in all: twenty small
 * ones, three at a time, 239 MiB; two of 130,000 entries 219; one of a million 213.
 */
const MEMORY_AT_ONCE = 105 * MiB;
/** Of a variant whatever is in it: its base as far as it is read, the thread that digests its image, buffers. */
const OF_VARIANT = 33 * MiB;
/** Of an entry of its layers, until its image is written. */
const OF_ENTRY = 90;

/** The items in their order, cut into groups that have room in memory; one that has none stands alone. `memory`: bytes. */
export async function groupByMemory<T>(
  items: readonly T[],
  entriesOf: (item: T) => Promise<number>,
  memory: number = MEMORY_AT_ONCE,
): Promise<readonly (readonly T[])[]> {
  const groups: T[][] = [];
  let sum = 0;
  for (const item of items) {
    const needed = OF_VARIANT + OF_ENTRY * (await entriesOf(item));
    if (groups.length === 0 || sum + needed > memory) {
      groups.push([]);
      sum = 0;
    }
    groups.at(-1)!.push(item);
    sum += needed;
  }
  return groups;
}
