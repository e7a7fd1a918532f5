/** Elements of one chunk: 2^16. A chunk that is full is never copied, so that growing costs no second copy; one of a short column is short. */
const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;
/** Elements of the first chunk to begin with. */
const SHORT = 256;

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** Numbers that can be read. */
export interface Numbers {
  readonly length: number;
  get(index: number): number;
}

/**
 * A growing list of numbers, as compact as their type: a million objects would cost a hundred megabytes. A chunk whose numbers are all
 * the same takes no memory: owners, sources and attributes of files that follow one another mostly are.
 */
export class Column implements Numbers {
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
      const length = number === 0 ? roomFor(Math.min(this.#length, CHUNK)) : CHUNK;
      chunk = this.#chunks[number] = this.#make(length).fill(this.#equal[number]!);
    }
    const place = index & CHUNK_MASK;
    if (place >= chunk.length) chunk = this.#lengthen(chunk, place);
    chunk[place] = value;
  }

  /** A first chunk that has room at `place`, with what it holds. */
  #lengthen(chunk: NumberArray, place: number): NumberArray {
    const longer = this.#make(roomFor(place + 1));
    longer.set(chunk);
    return (this.#chunks[0] = longer);
  }

  add(index: number, value: number): number {
    const sum = this.get(index) + value;
    this.set(index, sum);
    return sum;
  }
}

/** Length of a first chunk that holds so many numbers. */
function roomFor(count: number): number {
  let length = SHORT;
  while (length < count) length *= 2;
  return length;
}

export const uint8Column = () => new Column((length) => new Uint8Array(length));
export const uint16Column = () => new Column((length) => new Uint16Array(length));
export const uint32Column = () => new Column((length) => new Uint32Array(length));
export const float64Column = () => new Column((length) => new Float64Array(length));
