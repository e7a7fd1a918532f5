/** Bytes behind the deflate stream of a member: CRC-32 and length of what was compressed (RFC 1952, 2.3.1). */
export const GZIP_TRAILER = 8;

/** RFC 1952, 2.3.1: FLG. The upper three bits must be zero. */
const [FHCRC, FEXTRA, FNAME, FCOMMENT, RESERVED] = [0x02, 0x04, 0x08, 0x10, 0xe0];
const DEFLATE = 8;
/** Before anything optional. */
const FIXED = 10;
/** Names and comments have no limit; who writes a megabyte of them means harm. */
const MOST = 1024 * 1024;

/** An error as Node has those of zlib. */
export function zlibError(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Bytes of the header that a gzip member begins with; undefined when it is not all there. Errors: Z_DATA_ERROR. */
export function gzipHeaderLength(bytes: Buffer): number | undefined {
  const magic = bytes.subarray(0, 2);
  if (magic.length > 0 && !Buffer.of(0x1f, 0x8b).subarray(0, magic.length).equals(magic)) {
    throw zlibError('incorrect header check', 'Z_DATA_ERROR');
  }
  if (bytes.length > 2 && bytes[2] !== DEFLATE) throw zlibError('unknown compression method', 'Z_DATA_ERROR');
  if (bytes.length < FIXED) return undefined;
  const flags = bytes[3]!;
  if (flags & RESERVED) throw zlibError('unknown header flags set', 'Z_DATA_ERROR');
  let at = FIXED;
  if (flags & FEXTRA) {
    if (bytes.length < at + 2) return undefined;
    at += 2 + bytes.readUInt16LE(at);
  }
  for (const text of [FNAME, FCOMMENT]) {
    if (!(flags & text)) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0 && bytes.length > MOST) throw zlibError('header too long', 'Z_DATA_ERROR');
    if (end < 0) return undefined;
    at = end + 1;
  }
  if (flags & FHCRC) at += 2;
  return at <= bytes.length ? at : undefined;
}
