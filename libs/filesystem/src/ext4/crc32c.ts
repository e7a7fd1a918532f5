/**
 * CRC-32C (Castagnoli) as ext4 keeps it: the bare register, neither started nor ended with an inversion
 * (kernel `ext4_chksum`, fs/ext4/ext4.h). A chain starts with `CRC_START` or with an earlier result.
 */
export const CRC_START = 0xffffffff;

/** Reflected form of 0x1EDC6F41 (RFC 3720 appendix B.4). */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256 entries, one after another: eight bytes a step ("slicing by 8"). */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[(slice - 1) * 256 + byte]!;
      tables[slice * 256 + byte] = (before >>> 8) ^ tables[before & 0xff]!;
    }
  }
  return tables;
}

/** The register after `bytes[start, end)`, as an unsigned 32-bit number. */
export function crc32c(seed: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  const t = TABLES;
  let crc = seed | 0;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t[1792 + (crc & 0xff)]! ^
      t[1536 + ((crc >>> 8) & 0xff)]! ^
      t[1280 + ((crc >>> 16) & 0xff)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return crc >>> 0;
}

/** The register after the four bytes of `value`, little-endian: inode numbers, generations, group numbers. */
export function crc32cOfNumber(seed: number, value: number): number {
  const t = TABLES;
  let crc = (seed ^ value) | 0;
  for (let byte = 0; byte < 4; byte++) crc = (crc >>> 8) ^ t[crc & 0xff]!;
  return crc >>> 0;
}

/** The register after `length` zero bytes: four look-ups instead of one for each byte, since it is linear in the bits before. */
export function afterZeros(length: number): (crc: number) => number {
  const zeros = new Uint8Array(length);
  const bits = Int32Array.from({ length: 32 }, (_, bit) => crc32c((1 << bit) >>> 0, zeros));
  const table = new Int32Array(4 * 256);
  for (let at = 0; at < table.length; at++) {
    for (let bit = 0; bit < 8; bit++) if ((at >>> bit) & 1) table[at]! ^= bits[(at >>> 8) * 8 + bit]!;
  }
  return (crc) =>
    (table[crc & 0xff]! ^
      table[256 + ((crc >>> 8) & 0xff)]! ^
      table[512 + ((crc >>> 16) & 0xff)]! ^
      table[768 + (crc >>> 24)]!) >>>
    0;
}
