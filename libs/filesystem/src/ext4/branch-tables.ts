import type { SharedTree } from '@boxship/model';
import type { TreeTable } from './tree-table.ts';

/** Tables of branches that several file systems hold: each is made once, as long as it is remembered. */
export class BranchTables {
  /** The one that was asked for last comes last. */
  readonly #tables = new Map<SharedTree, TreeTable>();
  readonly #limit: number;
  readonly #used = new Set<SharedTree>();

  /** `limit`: so many entries are remembered at most, those that were asked for last; 60 to 70 bytes each, besides their names. */
  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  get(branch: SharedTree, make: () => TreeTable): TreeTable {
    let table = this.#tables.get(branch);
    this.#tables.delete(branch);
    if (!table) {
      this.#makeRoom(branch.entryCount);
      table = make();
    }
    this.#tables.set(branch, table);
    this.#used.add(branch);
    return table;
  }

  /** Does `work`, and forgets all that it did not ask for. */
  async keepWhatIsUsedBy<T>(work: () => Promise<T>): Promise<T> {
    this.#used.clear();
    const result = await work();
    for (const branch of this.#tables.keys()) if (!this.#used.has(branch)) this.#tables.delete(branch);
    return result;
  }

  #makeRoom(entries: number): void {
    let sum = entries;
    for (const branch of this.#tables.keys()) sum += branch.entryCount;
    for (const branch of this.#tables.keys()) {
      if (sum <= this.#limit) return;
      sum -= branch.entryCount;
      this.#tables.delete(branch);
    }
  }
}
