import { MiB } from '@boxship/model';

/**
 * What variants that are composed together may take by this count, beside the program itself; the program has 256 MiB in all.
 * Measured in all: one of a million entries 206 MiB, two that share them 243; two of 130,000 entries 187; four small ones 187, twenty
 * of them, four at a time, 218.
 */
const MEMORY_AT_ONCE = 100 * MiB;
/** Of a variant whatever is in it: its base as far as it is read, the thread that digests its image, buffers. */
const OF_VARIANT = 22 * MiB;
/**
 * Of an entry of a layer, until all images that hold it are written; and again for each of them. Less than its table takes (60 to 70
 * bytes): one variant of a million is so far below the limit by itself that the rest is left for a second one.
 */
const OF_ENTRY = 30;
const OF_ENTRY_IN_VARIANT = 8;

/**
 * The items in their order, cut into groups that have room in memory; one that has none stands alone. `entriesOf`: of all layers of
 * some of them, each once. `memory`: bytes.
 */
export async function groupByMemory<T>(
  items: readonly T[],
  entriesOf: (items: readonly T[]) => Promise<number>,
  memory: number = MEMORY_AT_ONCE,
): Promise<readonly (readonly T[])[]> {
  const groups: T[][] = [];
  let own = 0;
  for (const item of items) {
    const more = OF_VARIANT + OF_ENTRY_IN_VARIANT * (await entriesOf([item]));
    const together = [...(groups.at(-1) ?? []), item];
    if (groups.length === 0 || own + more + OF_ENTRY * (await entriesOf(together)) > memory) {
      groups.push([item]);
      own = more;
    } else {
      groups.at(-1)!.push(item);
      own += more;
    }
  }
  return groups;
}
