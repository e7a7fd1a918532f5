/**
 * The half-MD4 hash of directory names (Documentation/filesystems/ext4/directory.rst "Hash Tree Directories";
 * fs/ext4/hash.c `half_md4_transform`, `str2hashbuf_unsigned`). Names count as unsigned bytes.
 */
export const DX_HASH_HALF_MD4 = 1;

/** Four 32-bit words of `s_hash_seed`. */
export type HashSeed = Uint32Array;

/** Round constants: floor(2^30 × sqrt(2)) and floor(2^30 × sqrt(3)), as in RFC 1320. */
const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;

/** `EXT4_HTREE_EOF_32BIT << 1`: a hash that readdir keeps for "end of directory". */
const HASH_END = 0xfffffffe;

const words = new Int32Array(8);
const state = new Int32Array(4);

/** Hash of the name at `names[start, start + length)`, an unsigned number whose lowest bit is 0. */
export function directoryHash(seed: HashSeed, names: Uint8Array, start: number, length: number): number {
  state.set(seed);
  for (let left = length, at = start; left > 0; left -= 32, at += 32) {
    loadWords(names, at, left);
    transform();
  }
  const hash = (state[1]! & ~1) >>> 0;
  return hash === HASH_END ? hash - 2 : hash;
}

/** Up to 32 bytes as eight big-endian words; what the name does not fill is its remaining length in every byte. */
function loadWords(bytes: Uint8Array, start: number, left: number): void {
  const padding = (left & 0xff) * 0x01010101;
  const length = Math.min(left, 32);
  for (let word = 0; word < 8; word++) {
    let value = padding | 0;
    const end = Math.min(length, word * 4 + 4);
    for (let at = word * 4; at < end; at++) value = (value << 8) + bytes[start + at]!;
    words[word] = value;
  }
}

function transform(): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  const w = words as unknown as [number, number, number, number, number, number, number, number];
  a = rotate(a + (d ^ (b & (c ^ d))) + w[0], 3);
  d = rotate(d + (c ^ (a & (b ^ c))) + w[1], 7);
  c = rotate(c + (b ^ (d & (a ^ b))) + w[2], 11);
  b = rotate(b + (a ^ (c & (d ^ a))) + w[3], 19);
  a = rotate(a + (d ^ (b & (c ^ d))) + w[4], 3);
  d = rotate(d + (c ^ (a & (b ^ c))) + w[5], 7);
  c = rotate(c + (b ^ (d & (a ^ b))) + w[6], 11);
  b = rotate(b + (a ^ (c & (d ^ a))) + w[7], 19);

  a = rotate(a + majority(b, c, d) + w[1] + K2, 3);
  d = rotate(d + majority(a, b, c) + w[3] + K2, 5);
  c = rotate(c + majority(d, a, b) + w[5] + K2, 9);
  b = rotate(b + majority(c, d, a) + w[7] + K2, 13);
  a = rotate(a + majority(b, c, d) + w[0] + K2, 3);
  d = rotate(d + majority(a, b, c) + w[2] + K2, 5);
  c = rotate(c + majority(d, a, b) + w[4] + K2, 9);
  b = rotate(b + majority(c, d, a) + w[6] + K2, 13);

  a = rotate(a + (b ^ c ^ d) + w[3] + K3, 3);
  d = rotate(d + (a ^ b ^ c) + w[7] + K3, 9);
  c = rotate(c + (d ^ a ^ b) + w[2] + K3, 11);
  b = rotate(b + (c ^ d ^ a) + w[6] + K3, 15);
  a = rotate(a + (b ^ c ^ d) + w[1] + K3, 3);
  d = rotate(d + (a ^ b ^ c) + w[5] + K3, 9);
  c = rotate(c + (d ^ a ^ b) + w[0] + K3, 11);
  b = rotate(b + (c ^ d ^ a) + w[4] + K3, 15);

  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}

function majority(x: number, y: number, z: number): number {
  return ((x & y) + ((x ^ y) & z)) | 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
