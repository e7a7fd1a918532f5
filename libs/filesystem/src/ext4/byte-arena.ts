import { uint32Column, type Column } from './column.ts';

/** Bytes of one chunk: 1 MiB at most, and no more than are needed. A string of bytes lies in one chunk, never across two. */
const CHUNK_BITS = 20;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;
/** Bytes of a chunk to begin with. */
const SHORT = 4096;

/** Many short byte strings, back to back, each found again by its address. A string must be shorter than a chunk. */
export class ByteArena {
  readonly #chunks: Uint8Array[] = [];
  /** The chunk that takes more, and the bytes in it; other chunks may come behind it. */
  #open = -1;
  #used = CHUNK;

  /** Address of a copy of `text`, each character one byte. */
  addText(text: string): number {
    const address = this.#reserve(text.length);
    const chunk = this.chunk(address);
    const start = this.within(address);
    for (let at = 0; at < text.length; at++) chunk[start + at] = text.charCodeAt(at);
    return address;
  }

  addBytes(bytes: Uint8Array): number {
    const address = this.#reserve(bytes.length);
    this.chunk(address).set(bytes, this.within(address));
    return address;
  }

  /** The chunk that holds the string at `address`; the string starts at `within(address)`. */
  chunk(address: number): Uint8Array {
    return this.#chunks[address >>> CHUNK_BITS]!;
  }

  within(address: number): number {
    return address & CHUNK_MASK;
  }

  bytes(address: number, length: number): Uint8Array {
    const start = this.within(address);
    return this.chunk(address).subarray(start, start + length);
  }

  /** Takes the strings of another arena in, which are not copied; what has to be added to their addresses. */
  join(other: ByteArena): number {
    const base = this.#chunks.length * CHUNK;
    for (const chunk of other.#chunks) this.#push(chunk);
    return base;
  }

  /** Gives back the memory that no string takes; nothing is added from then on. */
  close(): void {
    if (this.#open >= 0) this.#chunks[this.#open] = this.#chunks[this.#open]!.slice(0, this.#used);
    this.#used = CHUNK;
  }

  #reserve(length: number): number {
    if (this.#used + length > CHUNK) {
      this.#open = this.#push(new Uint8Array(SHORT)) - 1;
      this.#used = 0;
    }
    const chunk = this.#chunks[this.#open]!;
    if (this.#used + length > chunk.length) {
      let size = chunk.length * 2;
      while (size < this.#used + length) size *= 2;
      (this.#chunks[this.#open] = new Uint8Array(size)).set(chunk);
    }
    const address = this.#open * CHUNK + this.#used;
    this.#used += length;
    return address;
  }

  #push(chunk: Uint8Array): number {
    if (this.#chunks.length * CHUNK >= 2 ** 32) {
      throw new Error('names, link targets and attributes take more than 4 GiB');
    }
    return this.#chunks.push(chunk);
  }
}

/** Numbers equal byte strings equally: 0, 1, 2, … in the order in which they first came. */
export class ByteInterner {
  readonly #arena = new ByteArena();
  readonly #addresses: Column = uint32Column();
  readonly #lengths: Column = uint32Column();
  readonly #table = new HashTable((index) => {
    const address = this.#addresses.get(index);
    const start = this.#arena.within(address);
    return hashBytes(0, this.#arena.chunk(address), start, start + this.#lengths.get(index));
  });

  get count(): number {
    return this.#lengths.length;
  }

  intern(bytes: Uint8Array): number {
    const hash = hashBytes(0, bytes, 0, bytes.length);
    for (let slot = this.#table.first(hash); this.#table.at(slot) >= 0; slot = this.#table.next(slot)) {
      if (equalBytes(this.bytes(this.#table.at(slot)), bytes)) return this.#table.at(slot);
    }
    this.#addresses.push(this.#arena.addBytes(bytes));
    const index = this.#lengths.push(bytes.length);
    this.#table.add(hash, index);
    return index;
  }

  bytes(index: number): Uint8Array {
    return this.#arena.bytes(this.#addresses.get(index), this.#lengths.get(index));
  }
}

/** Indexes by hash, open addressing, at most two thirds full: 6 to 12 bytes an index. */
export class HashTable {
  #slots: Uint32Array;
  #used = 0;
  readonly #hashOf: (index: number) => number;

  /** `hashOf` gives the hash of an index again when the table grows: when there are more than `expected`. */
  constructor(hashOf: (index: number) => number, expected = 0) {
    this.#hashOf = hashOf;
    let slots = 1024;
    while (expected * 3 > slots * 2) slots *= 2;
    this.#slots = new Uint32Array(slots);
  }

  /** First slot where an index with this hash can be, and the one to look at after another; an empty slot ends it. */
  first(hash: number): number {
    return hash & (this.#slots.length - 1);
  }

  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** The index in a slot, or -1. */
  at(slot: number): number {
    return this.#slots[slot]! - 1;
  }

  add(hash: number, index: number): void {
    if ((this.#used + 1) * 3 > this.#slots.length * 2) this.#grow();
    this.#place(hash, index);
    this.#used++;
  }

  #place(hash: number, index: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index + 1;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const value of before) if (value !== 0) this.#place(this.#hashOf(value - 1), value - 1);
  }
}

/** FNV-1a with a final mix, for tables in memory only: nothing on disk depends on it. */
export function hashBytes(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = startHash(seed);
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mix(hash);
}

/** As `hashBytes`, of a text whose characters are bytes. */
export function hashText(seed: number, text: string): number {
  let hash = startHash(seed);
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

function startHash(seed: number): number {
  return 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1);
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
