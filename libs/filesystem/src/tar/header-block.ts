/**
 * The 512-byte header block. Layouts: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
 * (struct posix_header, oldgnu_header, sparse_header).
 */
export const BLOCK_SIZE = 512;

/** Bytes 257..264. POSIX writes "ustar\0" "00", GNU "ustar " " \0"; anything else is a V7 header without extra fields. */
export type HeaderFormat = 'v7' | 'ustar' | 'gnu' | 'star';

/** Why a field or a record cannot be read; the parser turns it into an error that names the entry. */
export class BadField extends Error {}

export function headerFormat(block: Uint8Array, at: number): HeaderFormat {
  // 'u' 's' 't' 'a' 'r'
  if (
    block[at + 257] !== 0x75 ||
    block[at + 258] !== 0x73 ||
    block[at + 259] !== 0x74 ||
    block[at + 260] !== 0x61 ||
    block[at + 261] !== 0x72
  ) {
    return 'v7';
  }
  if (block[at + 262] === 0x20 && block[at + 263] === 0x20 && block[at + 264] === 0) return 'gnu';
  if (block[at + 262] !== 0) return 'v7';
  // star writes "tar\0" in the last four bytes and a shorter prefix (star(4))
  const star =
    block[at + 508] === 0x74 && block[at + 509] === 0x61 && block[at + 510] === 0x72 && block[at + 511] === 0;
  return star ? 'star' : 'ustar';
}

export function isZeroBlock(block: Uint8Array, at: number): boolean {
  for (let i = at; i < at + BLOCK_SIZE; i++) if (block[i] !== 0) return false;
  return true;
}

/** Whether the stored sum fits: of unsigned bytes, or of signed bytes as some old tars made it. */
export function checksumFits(block: Uint8Array, at: number): boolean {
  let sum = 0;
  for (let i = at; i < at + BLOCK_SIZE; i += 8) {
    sum +=
      block[i]! + block[i + 1]! + block[i + 2]! + block[i + 3]! +
      block[i + 4]! + block[i + 5]! + block[i + 6]! + block[i + 7]!; // prettier-ignore
  }
  // the field itself (8 bytes at 148) counts as spaces
  for (let i = at + 148; i < at + 156; i++) sum += 0x20 - block[i]!;
  const stored = readOctal(block, at + 148, 8);
  if (stored === sum) return true;
  let signed = sum;
  for (let i = at; i < at + BLOCK_SIZE; i++) {
    if (block[i]! > 127 && (i < at + 148 || i >= at + 156)) signed -= 256;
  }
  return stored === signed;
}

/** Bytes up to the first NUL, one character each. */
export function readText(block: Buffer, at: number, length: number): string {
  let end = at;
  const limit = at + length;
  while (end < limit && block[end] !== 0) end++;
  return end === at ? '' : block.toString('latin1', at, end);
}

/** Octal digits, or GNU's base-256 two's complement (first bit set). Throws BadField. */
export function readNumber(block: Uint8Array, at: number, length: number): number {
  return block[at]! & 0x80 ? readBase256(block, at, length) : readOctal(block, at, length);
}

function readOctal(block: Uint8Array, at: number, length: number): number {
  let start = at;
  let end = at + length;
  while (start < end && (block[start] === 0x20 || block[start] === 0)) start++;
  while (end > start && (block[end - 1] === 0x20 || block[end - 1] === 0)) end--;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = block[i]! - 0x30;
    if (digit === -0x30) break; // digits end at a NUL, what follows is not looked at (as Go, which engines use)
    if (digit < 0 || digit > 7) throw new BadField('a number in the header is not octal');
    value = value * 8 + digit;
  }
  if (value > Number.MAX_SAFE_INTEGER) throw new BadField('a number in the header is larger than 2^53');
  return value;
}

function readBase256(block: Uint8Array, at: number, length: number): number {
  const negative = (block[at]! & 0x40) !== 0;
  const invert = negative ? 0xff : 0;
  let value = (block[at]! ^ invert) & 0x7f;
  for (let i = at + 1; i < at + length; i++) {
    value = value * 256 + (block[i]! ^ invert);
    if (value > Number.MAX_SAFE_INTEGER) throw new BadField('a number in the header is larger than 2^53');
  }
  return negative ? -value - 1 : value;
}
