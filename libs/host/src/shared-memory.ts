import type { SharedMemory } from '@boxship/model';
import { trustAligned } from './page-aligned.ts';

/** Of the WebAssembly JavaScript Interface, as far as it is used here. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => GrowingMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: unknown) => { readonly exports: MemoryMover };
};
interface GrowingMemory extends SharedMemory {
  grow(pages: number): number;
}

/** Moves bytes within a memory. Positions and counts in bytes. */
export interface MemoryMover {
  copy(to: number, from: number, count: number): void;
  zero(at: number, count: number): void;
}

/** A piece of memory that all threads of the program have in common; it begins at a page of the machine. Plain data for other threads. */
export interface SharedPiece {
  readonly memory: SharedMemory;
  /** Bytes. */
  readonly at: number;
  readonly size: number;
}

/** The same for who took it, and gives it back. */
export interface SharedBlock extends SharedPiece, Disposable {}

/** Bytes of a page of WebAssembly's: what blocks are multiples of. */
const PAGE = 64 * 1024;
/** 256 MiB: more than the program ever takes. */
const MOST_PAGES = 4096;

/** All blocks lie in one memory, since bytes are copied quickly only within one; it goes when nobody has a block of it. */
interface Room {
  readonly memory: GrowingMemory;
  /** Ascending. */
  readonly taken: { readonly at: number; readonly size: number }[];
}
let room: Room | undefined;

/**
 * Takes a block for as long as it is not disposed; what is in it is not defined. Undefined where there is no address space
 * for it (ulimit -v), or no more room. For the program's main thread; others are sent what they use.
 */
export function shareMemory(bytes: number): SharedBlock | undefined {
  const size = Math.ceil(bytes / PAGE) * PAGE;
  try {
    room ??= { memory: new WebAssembly.Memory({ initial: 0, maximum: MOST_PAGES, shared: true }), taken: [] };
    const { memory, taken } = room;
    const ends = [0, ...taken.map((block) => block.at + block.size)];
    const index = ends.findIndex((end, next) => (taken[next]?.at ?? Infinity) - end >= size);
    const at = ends[index]!;
    const missing = at + size - memory.buffer.byteLength;
    if (missing > 0) memory.grow(missing / PAGE);
    const block = { at, size };
    taken.splice(index, 0, block);
    return {
      ...block,
      memory,
      [Symbol.dispose]() {
        taken.splice(taken.indexOf(block), 1);
        if (taken.length === 0 && room?.memory === memory) room = undefined;
      },
    };
  } catch {
    if (room?.taken.length === 0) room = undefined;
    return undefined;
  }
}

/** The bytes of a block, in any thread. */
export function sharedBytes({ memory, at, size }: SharedPiece): Buffer {
  trustAligned(memory.buffer);
  return Buffer.from(memory.buffer as unknown as ArrayBuffer, at, size);
}

/**
 * `memory.copy` and `memory.fill` of WebAssembly: the machine's own, where Buffer moves shared memory word by word, or byte by byte
 * when it does not lie at words.
 */
export function memoryMover(memory: SharedMemory): MemoryMover {
  return new WebAssembly.Instance(new WebAssembly.Module(MOVER), { of: { memory } }).exports;
}

/** WebAssembly Core Specification 2.0, 5.5 (modules) and 5.4.6 (memory instructions); Threads proposal, limits. */
const MOVER = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 12, 2, 0x60, 3, 0x7f, 0x7f, 0x7f, 0, 0x60, 2, 0x7f, 0x7f, 0], // types: three i32, two i32
  ...[2, 16, 1, 2, ...Buffer.from('of'), 6, ...Buffer.from('memory'), 2, 3, 0, 0x80, 0x20], // shared, 0 to 4096 pages
  ...[3, 3, 2, 0, 1], // a function of each type
  ...[7, 15, 2, 4, ...Buffer.from('copy'), 0, 0, 4, ...Buffer.from('zero'), 0, 1],
  ...[10, 26, 2],
  ...[12, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0, 0x0b], // memory.copy of its parameters
  ...[11, 0, 0x20, 0, 0x41, 0, 0x20, 1, 0xfc, 11, 0, 0x0b], // memory.fill of the first, 0, the second
);
