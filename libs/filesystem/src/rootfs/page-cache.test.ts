import { describe, expect, it } from 'vitest';
import { pageCache } from './page-cache.ts';

const KiB = 1024;

/** A file of that many bytes that counts how often it is read; one byte of it cannot be. */
function countedReader(size: number, bad = Infinity) {
  const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
  const reads: (readonly [number, number])[] = [];
  return {
    bytes,
    reads,
    size,
    read(position: number, length: number): Promise<Uint8Array> {
      reads.push([position, length]);
      const fails = position + length > size || (position <= bad && bad < position + length);
      return fails ? Promise.reject(new Error(`bad at ${position}`)) : Promise.resolve(Uint8Array.from(bytes.subarray(position, position + length))); // prettier-ignore
    },
  };
}

describe('a page cache', () => {
  it('gives the bytes of the reader, with one read for all of a page', async () => {
    const file = countedReader(100 * KiB + 7);
    const cached = pageCache(file);
    const places = Array.from({ length: 400 }, (_, i) => i * 256);
    const all = await Promise.all(places.map((at) => cached.read(at, 256)));
    places.forEach((at, i) => expect(Buffer.from(all[i]!).equals(file.bytes.subarray(at, at + 256))).toBe(true));
    expect(file.reads).toHaveLength(7); // 16 KiB each
    expect(Buffer.from(await cached.read(100 * KiB, 7)).equals(file.bytes.subarray(100 * KiB))).toBe(true);
    expect(file.reads).toHaveLength(7);
  });

  it('reads what is long or lies on two pages as it was asked for', async () => {
    const file = countedReader(100 * KiB);
    const cached = pageCache(file);
    for (const [at, length] of [[1, 8 * KiB], [16 * KiB - 1, 2]] as const) {
      expect(Buffer.from(await cached.read(at, length)).equals(file.bytes.subarray(at, at + length))).toBe(true);
      expect(file.reads.at(-1)).toEqual([at, length]);
    }
  }); // prettier-ignore

  it('keeps no more than 4 MiB: what was not used for longest goes', async () => {
    const file = countedReader(5 * KiB * KiB);
    const cached = pageCache(file);
    await cached.read(16 * KiB, 1);
    for (let at = 0; at < 4 * KiB * KiB; at += 16 * KiB) await cached.read(at, 1);
    expect(file.reads).toHaveLength(256);
    await cached.read(0, 1); // used again: now the second one is the oldest
    await cached.read(4 * KiB * KiB, 1);
    await cached.read(0, 1);
    expect(file.reads).toHaveLength(257);
    await cached.read(16 * KiB, 1);
    expect(file.reads).toHaveLength(258);
  });

  it('does not fail for a neighbour, does for what is asked, and not for ever', async () => {
    const file = countedReader(64 * KiB, 5);
    const cached = pageCache(file);
    expect(Buffer.from(await cached.read(100, 50)).equals(file.bytes.subarray(100, 150))).toBe(true);
    await expect(cached.read(0, 50)).rejects.toThrow('bad at 0');
    await expect(cached.read(64 * KiB - 1, 2)).rejects.toThrow('bad at 65535');
    expect(Buffer.from(await cached.read(20 * KiB, 50)).equals(file.bytes.subarray(20 * KiB, 20 * KiB + 50))).toBe(true); // prettier-ignore
  });
});
