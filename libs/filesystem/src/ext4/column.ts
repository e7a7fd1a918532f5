/** Elements of one chunk: 2^16. A chunk that is full is never copied, so that growing costs no second copy. */
const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** A growing list of numbers, as compact as their type: a million objects would cost a hundred megabytes. */
export class Column {
  #length = 0;
  readonly #chunks: NumberArray[] = [];
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
    const within = index & CHUNK_MASK;
    if (within === 0) this.#chunks.push(this.#make(CHUNK));
    this.#chunks[index >>> CHUNK_BITS]![within] = value;
    return index;
  }

  get(index: number): number {
    return this.#chunks[index >>> CHUNK_BITS]![index & CHUNK_MASK]!;
  }

  set(index: number, value: number): void {
    this.#chunks[index >>> CHUNK_BITS]![index & CHUNK_MASK] = value;
  }

  add(index: number, value: number): number {
    const chunk = this.#chunks[index >>> CHUNK_BITS]!;
    return (chunk[index & CHUNK_MASK]! += value);
  }
}

export const uint8Column = () => new Column((length) => new Uint8Array(length));
export const uint16Column = () => new Column((length) => new Uint16Array(length));
export const uint32Column = () => new Column((length) => new Uint32Array(length));
export const float64Column = () => new Column((length) => new Float64Array(length));
