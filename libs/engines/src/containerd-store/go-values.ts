/* Values as Go's standard library writes them; containerd keeps them in bbolt (core/metadata/boltutil/helpers.go). */

/** Seconds from year 1 to 1970 (Go time.go `unixToInternal`). */
const UNIX_TO_INTERNAL = 62135596800n;

/** `time.Time.MarshalBinary` in UTC: version 1, seconds since year 1, nanoseconds, offset -1; big-endian. */
export function goTime(seconds: number): Uint8Array {
  const bytes = Buffer.alloc(15);
  bytes.writeUInt8(1, 0);
  bytes.writeBigInt64BE(BigInt(seconds) + UNIX_TO_INTERNAL, 1);
  bytes.writeInt32BE(0, 9);
  bytes.writeInt16BE(-1, 13);
  return bytes;
}

/** `binary.PutUvarint`: seven bits a byte, lowest first. */
export function goUvarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** `binary.PutVarint` of a number that is not negative: zigzag doubles it. */
export function goVarint(value: number): Uint8Array {
  return goUvarint(2 * value);
}
