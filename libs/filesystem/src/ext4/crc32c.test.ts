import { expect, it } from 'vitest';
import { CRC_START, afterZeros, crc32c, crc32cOfNumber } from './crc32c.ts';

it('gives the checksums of RFC 3720, appendix B.4', () => {
  const checksum = (bytes: Uint8Array) => ~crc32c(CRC_START, bytes) >>> 0;
  expect(checksum(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(checksum(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(checksum(Uint8Array.from({ length: 32 }, (_, at) => at))).toBe(0x46dd794e);
  expect(checksum(Uint8Array.from({ length: 32 }, (_, at) => 31 - at))).toBe(0x113fdb5c);
});

it('goes on from an earlier result, at any place', () => {
  const bytes = Uint8Array.from({ length: 61 }, (_, at) => at * 7);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(crc32c(crc32c(CRC_START, bytes, 0, cut), bytes, cut)).toBe(crc32c(CRC_START, bytes));
  }
  expect(crc32cOfNumber(5, 0x04030201)).toBe(crc32c(5, Uint8Array.of(1, 2, 3, 4)));
});

it.each([0, 1, 7, 8, 36, 96, 4096])('goes past %d zeros as over them', (length) => {
  const past = afterZeros(length);
  for (const seed of [0, 1, 0x80, CRC_START, 0x80000000, 0x01020304, 0xdeadbeef]) {
    expect(past(seed)).toBe(crc32c(seed, new Uint8Array(length)));
  }
});
