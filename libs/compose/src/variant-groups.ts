/**
 * Entries of layers whose file systems may be laid out at the same time. Each takes about 90 bytes of memory until its
 * image is written, and the whole program has 256 MiB.
 */
const ENTRIES_AT_ONCE = 1_000_000;

/** The items in their order, cut into groups whose entries stay below the limit; one that is larger stands alone. */
export async function groupByEntries<T>(
  items: readonly T[],
  entriesOf: (item: T) => Promise<number>,
  limit: number = ENTRIES_AT_ONCE,
): Promise<readonly (readonly T[])[]> {
  const groups: T[][] = [];
  let sum = 0;
  for (const item of items) {
    const entries = await entriesOf(item);
    if (groups.length === 0 || sum + entries > limit) {
      groups.push([]);
      sum = 0;
    }
    groups.at(-1)!.push(item);
    sum += entries;
  }
  return groups;
}
