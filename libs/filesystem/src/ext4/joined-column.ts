import type { Column, Numbers } from './column.ts';

/** What a number of one table is in a table that holds it: so much more, or what a function makes of it and of its row there. */
export type Relocation = number | ((value: number, row: number) => number);

/** Rows of a column, one behind the other in another one. */
interface Piece {
  /** Row of its first number. */
  readonly start: number;
  readonly numbers: Column;
  /** Its rows are so much less in `numbers`. */
  readonly shift: number;
  readonly relocation: Relocation;
}

/**
 * A column that grows, with columns of other tables in between: these are not copied, so that several tables can hold one. Quick for
 * rows that are near to each other.
 */
export class JoinedColumn implements Numbers {
  readonly #own: Column;
  readonly #pieces: Piece[];
  #length = 0;
  /** The piece that was asked last, and the row at which the next one starts. */
  #numbers: Column;
  #start = 0;
  #end = Infinity;
  #shift = 0;
  #relocation: Relocation = 0;

  constructor(own: Column) {
    this.#own = own;
    this.#numbers = own;
    this.#pieces = [{ start: 0, numbers: own, shift: 0, relocation: 0 }];
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a value and returns its index. */
  push(value: number): number {
    this.#own.push(value);
    return this.#length++;
  }

  get(index: number): number {
    if (index < this.#start || index >= this.#end) this.#seek(index);
    const row = index - this.#shift;
    const value = this.#numbers.get(row);
    const relocation = this.#relocation;
    return typeof relocation === 'number' ? value + relocation : relocation(value, row);
  }

  set(index: number, value: number): void {
    if (index < this.#start || index >= this.#end) this.#seek(index);
    if (this.#numbers !== this.#own) throw new Error('a number of another table is not changed');
    this.#own.set(index - this.#shift, value);
  }

  add(index: number, value: number): number {
    const sum = this.get(index) + value;
    this.set(index, sum);
    return sum;
  }

  /** Appends all numbers of another column, which has no other one in it and does not change any more. */
  join(other: JoinedColumn, relocation: Relocation = 0): void {
    if (other.length === 0) return;
    if (other.#pieces.length > 1) throw new Error('a branch has no branches of its own');
    const start = this.#length;
    this.#length += other.length;
    if (this.#pieces.at(-1)!.start === start) this.#pieces.pop(); // nothing was appended to it
    this.#pieces.push({ start, numbers: other.#own, shift: start, relocation });
    const shift = this.#length - this.#own.length;
    this.#pieces.push({ start: this.#length, numbers: this.#own, shift, relocation: 0 });
    this.#seek(start);
  }

  #seek(index: number): void {
    let low = 0;
    let high = this.#pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#pieces[middle]!.start <= index) low = middle;
      else high = middle - 1;
    }
    const { start, numbers, shift, relocation } = this.#pieces[low]!;
    this.#start = start;
    this.#end = this.#pieces[low + 1]?.start ?? Infinity;
    this.#numbers = numbers;
    this.#shift = shift;
    this.#relocation = relocation;
  }
}
