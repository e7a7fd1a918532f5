/** Elements of one chunk: 2^16. A chunk that is full is never copied, so that growing costs no second copy. */
const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/**
 * A growing list of numbers, as compact as their type: a million objects would cost a hundred megabytes. A chunk whose numbers are all
 * the same takes no memory: owners, sources and attributes of files that follow one another mostly are.
 */
export class Column {
  #length = 0;
  /** Undefined as long as all are equal. */
  readonly #chunks: (NumberArray | undefined)[] = [];
  /** The number that all of a chunk are, where they are. */
  readonly #equal: number[] = [];
  readonly #make: (length: number) => NumberArray;

  constructor(make: (length: number) => NumberArray) {
    this.#make = make;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a value and returns its index. */
  push(value: number): number {
    const index = this.#length++;
    if ((index & CHUNK_MASK) === 0) {
      this.#chunks.push(undefined);
      this.#equal.push(value);
    } else this.set(index, value);
    return index;
  }

  /** Appends what was appended last, or 0: for what is set before it is read. */
  pushAgain(): number {
    return this.push(this.#length === 0 ? 0 : this.get(this.#length - 1));
  }

  get(index: number): number {
    const chunk = this.#chunks[index >>> CHUNK_BITS];
    return chunk === undefined ? this.#equal[index >>> CHUNK_BITS]! : chunk[index & CHUNK_MASK]!;
  }

  set(index: number, value: number): void {
    const number = index >>> CHUNK_BITS;
    let chunk = this.#chunks[number];
    if (chunk === undefined) {
      if (value === this.#equal[number]) return;
      if (this.#length === number * CHUNK + 1) {
        this.#equal[number] = value; // the only one of its chunk so far
        return;
      }
      chunk = this.#chunks[number] = this.#make(CHUNK).fill(this.#equal[number]!);
    }
    chunk[index & CHUNK_MASK] = value;
  }

  add(index: number, value: number): number {
    const sum = this.get(index) + value;
    this.set(index, sum);
    return sum;
  }
}

export const uint8Column = () => new Column((length) => new Uint8Array(length));
export const uint16Column = () => new Column((length) => new Uint16Array(length));
export const uint32Column = () => new Column((length) => new Uint32Array(length));
export const float64Column = () => new Column((length) => new Float64Array(length));
