/**
 * All items of all lists, each once, in an order that is that of every list, where there is one: an item comes when all that are before
 * it in any list have come. Where lists contradict each other, the earliest list has its way.
 */
export function mergeOrders<T>(lists: readonly (readonly T[])[]): readonly T[] {
  const merged = new Set<T>();
  const unique = lists.map((list) => [...new Set(list)]);
  /** Lists that have an item that has not come, by item. */
  const holders = new Map<T, number[]>();
  for (const [index, list] of unique.entries()) {
    for (const item of list) holders.set(item, [...(holders.get(item) ?? []), index]);
  }
  /** Of each list the first item that has not come. */
  const next = unique.map(() => 0);
  const first = (index: number): T | undefined => {
    const list = unique[index]!;
    while (next[index]! < list.length && merged.has(list[next[index]!]!)) next[index]!++;
    return list[next[index]!];
  };
  for (;;) {
    const heads = unique.map((_, index) => first(index));
    const open = heads.flatMap((head, index) => (next[index]! < unique[index]!.length ? [head as T] : []));
    if (open.length === 0) return [...merged];
    merged.add(open.find((item) => holders.get(item)!.every((index) => heads[index] === item)) ?? open[0]!);
  }
}
