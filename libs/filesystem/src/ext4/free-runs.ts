/**
 * The blocks that files can have, as runs in ascending order. Block `n` of "file space" is the n-th of them: what is
 * consecutive in file space is consecutive on the disk except where metadata of a group lies between.
 */
export class FreeRuns {
  /** First block on the disk, and first block in file space, of each run. */
  readonly #disk: number[] = [];
  readonly #space: number[] = [];
  readonly #lengths: number[] = [];
  #total = 0;

  push(disk: number, length: number): void {
    this.#disk.push(disk);
    this.#space.push(this.#total);
    this.#lengths.push(length);
    this.#total += length;
  }

  /** Blocks in all. */
  get total(): number {
    return this.#total;
  }

  /** A cursor is quick for addresses that come near to each other; make one for each walk. */
  cursor(): RunCursor {
    return new RunCursor(this.#disk, this.#space, this.#lengths);
  }

  /** Runs on the disk of file space from `from` on, `[start, end)` in blocks, ascending. */
  *from(from: number): Generator<{ start: number; end: number }> {
    for (let run = 0; run < this.#disk.length; run++) {
      const skipped = Math.max(0, from - this.#space[run]!);
      const start = this.#disk[run]! + skipped;
      const end = this.#disk[run]! + this.#lengths[run]!;
      if (start < end) yield { start, end };
    }
  }
}

/** Finds the disk address of blocks of file space. */
export class RunCursor {
  readonly #disk: readonly number[];
  readonly #space: readonly number[];
  readonly #lengths: readonly number[];
  #run = 0;

  constructor(disk: readonly number[], space: readonly number[], lengths: readonly number[]) {
    this.#disk = disk;
    this.#space = space;
    this.#lengths = lengths;
  }

  /** Disk address of block `block` of file space. */
  locate(block: number): number {
    this.#seek(block);
    return this.#disk[this.#run]! + block - this.#space[this.#run]!;
  }

  /** Blocks from `block` to the end of its run. */
  left(block: number): number {
    this.#seek(block);
    return this.#space[this.#run]! + this.#lengths[this.#run]! - block;
  }

  #seek(block: number): void {
    const offset = block - this.#space[this.#run]!;
    if (offset >= 0 && offset < this.#lengths[this.#run]!) return;
    let low = 0;
    let high = this.#space.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#space[middle]! <= block) low = middle;
      else high = middle - 1;
    }
    this.#run = low;
  }
}
