import { randomBytes } from 'node:crypto';
import type { BytePath } from '@boxship/model';

/**
 * Where the last record of each path is. Keeps 12 bytes for a slot and no path: a hash that fits is made sure by reading
 * the path from the record, so a million entries cost 24 MiB and a collision costs time, not truth.
 */
export interface PathTable {
  /** Offset of the path's record, or -1. */
  find(path: BytePath): number;
  /** Sets the path's record and returns the offset of the one before, or -1. */
  set(path: BytePath, offset: number): number;
}

/** `pathAt` reads the path of the record at an offset that was given to `set`. */
export function createPathTable(pathAt: (offset: number) => BytePath): PathTable {
  // names chosen to collide cannot know the seed; what the table answers does not depend on it
  const seed = randomBytes(4).readInt32LE(0);
  let capacity = 1 << 12;
  let count = 0;
  /** Hash of the path in each slot. */
  let hashes = new Int32Array(capacity);
  /** Record offset + 1; 0 is an empty slot. */
  let offsets = new Float64Array(capacity);

  function hashOf(path: string): number {
    let hash = seed;
    for (let i = 0; i < path.length; i++) {
      hash = Math.imul(hash ^ path.charCodeAt(i), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
  }

  /** Slot of the path, or the free place for it. */
  function slotOf(hash: number, path: string): number {
    const mask = capacity - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = offsets[slot]!;
      if (offset === 0 || (hashes[slot] === hash && pathAt(offset - 1) === path)) return slot;
    }
  }

  function grow(): void {
    const oldHashes = hashes;
    const oldOffsets = offsets;
    capacity *= 2;
    hashes = new Int32Array(capacity);
    offsets = new Float64Array(capacity);
    const mask = capacity - 1;
    for (let i = 0; i < oldOffsets.length; i++) {
      if (oldOffsets[i] === 0) continue;
      let slot = oldHashes[i]! & mask;
      while (offsets[slot] !== 0) slot = (slot + 1) & mask;
      hashes[slot] = oldHashes[i]!;
      offsets[slot] = oldOffsets[i]!;
    }
  }

  return {
    find(path) {
      return offsets[slotOf(hashOf(path), path)]! - 1;
    },
    set(path, offset) {
      if (count * 4 > capacity * 3) grow();
      const hash = hashOf(path);
      const slot = slotOf(hash, path);
      const before = offsets[slot]! - 1;
      if (before < 0) count++;
      hashes[slot] = hash;
      offsets[slot] = offset + 1;
      return before;
    },
  };
}
