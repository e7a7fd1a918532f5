import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync, gunzipSync, gzipSync } from 'node:zlib';
import { runProgram } from '@boxship/host';
import { afterAll, describe, expect, it } from 'vitest';
import { createInflater } from './inflate-in-place.ts';
import { itNeeds } from './test-layers.ts';

const folder = mkdtempSync(join(tmpdir(), 'boxship-inflate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const withGzip = await itNeeds('gzip');

/** Inflates, given pieces of so many bytes; what comes out goes into buffers of `size`. */
function inflate(gzip: Uint8Array, piece: number, size = 1000): Buffer {
  const outs: Buffer[] = [];
  let out = Buffer.alloc(0);
  using inflater = createInflater(
    size,
    (length) => void outs.push(Buffer.from(out.subarray(0, length))),
    () => (out = Buffer.alloc(size)),
  );
  for (let at = 0; at < gzip.length; at += piece) inflater.push(Buffer.from(gzip.subarray(at, at + piece)));
  inflater.end();
  expect(outs.slice(0, -1).every(({ length }) => length === size)).toBe(true); // all but the last are full
  return Buffer.concat(outs);
}

const text = Buffer.concat([Buffer.alloc(5000, 'boxship '), randomBytes(3000), Buffer.alloc(7)]);
/** A member with all that a header may have. */
function member(bytes: Buffer, flags: number): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([
    Buffer.of(0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255),
    ...(flags & 4 ? [Buffer.of(3, 0, 0, 9, 0)] : []),
    ...(flags & 8 ? [Buffer.from('a name\0')] : []),
    ...(flags & 16 ? [Buffer.from('a comment\0')] : []),
    ...(flags & 2 ? [Buffer.of(1, 2)] : []),
    deflateRawSync(bytes),
    trailer,
  ]);
}

describe('gzip that is inflated in place', () => {
  withGzip('is what gzip compressed, in pieces of any size', async () => {
    const { stdout } = await runProgram('gzip', ['-9c'], { input: text });
    for (const piece of [1, 2, 7, 333, stdout.length]) {
      for (const size of [1, 100, text.length, 1_000_000]) {
        if (piece * size > 1) expect(inflate(stdout, piece, size).equals(text), `${piece} ${size}`).toBe(true);
      }
    }
  });

  it('has headers of every kind, several members, none at all in them, and padding', () => {
    for (let flags = 0; flags < 32; flags += 2) {
      const two = Buffer.concat([member(text, flags), gzipSync(''), member(text.subarray(5), flags | 1), Buffer.alloc(20)]);
      const expected = Buffer.concat([text, text.subarray(5)]);
      if ((flags & 2) === 0) expect(gunzipSync(two).equals(expected)).toBe(true); // Node checks the header's CRC
      for (const piece of [1, 11, two.length]) expect(inflate(two, piece).equals(expected)).toBe(true);
    }
    expect(inflate(Buffer.concat([gzipSync(text), Buffer.of(0), gzipSync(text)]), 50).equals(text)).toBe(true);
  }); // prettier-ignore

  it('fails at any place where it ends too early', () => {
    const gzip = member(text.subarray(4000, 6000), 8);
    for (let length = 0; length < gzip.length; length++) {
      expect(() => inflate(gzip.subarray(0, length), 100), `${length} bytes`).toThrow('unexpected end of file');
    }
    expect(() => inflate(Buffer.concat([gzip, gzip.subarray(0, 5)]), 100)).toThrow('unexpected end of file');
  });

  it('fails when it is damaged', () => {
    const damaged = (at: number, value: number) => {
      const gzip = member(text, 0);
      gzip[at < 0 ? gzip.length + at : at] = value;
      return () => inflate(gzip, 500);
    };
    expect(damaged(0, 0x1e)).toThrow('incorrect header check');
    expect(damaged(1, 0)).toThrow('incorrect header check');
    expect(damaged(2, 7)).toThrow('unknown compression method');
    expect(damaged(3, 0x80)).toThrow('unknown header flags set');
    expect(damaged(10, 0xff)).toThrow('invalid block type');
    expect(damaged(-1, 1)).toThrow('incorrect length check');
    expect(() => inflate(Buffer.concat([gzipSync(text), Buffer.from('garbage')]), 500)).toThrow(
      'incorrect header check',
    );
    const endless = Buffer.concat([Buffer.of(0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0), Buffer.alloc(2_000_000, 'x')]);
    expect(() => inflate(endless, 1_000_000)).toThrow('header too long');
  });
});
