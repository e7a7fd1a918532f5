import { open } from 'node:fs/promises';
import { UserError } from '@boxship/model';

export interface CpioFile {
  readonly name: string;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Sum of all bytes, 32 bits. */
  readonly checksum: number;
}

/** Largest file of the format: eight hex digits. */
const MAX_SIZE = 0xffffffff;

/**
 * The header of a file in a cpio archive with checksums (`cpio -H crc`, magic 070702; cpio(5) "New CRC Format"): fields of
 * eight hex digits, then the name, padded to four bytes. Errors: SWU_TOO_LARGE.
 */
export function cpioHeader({ name, size, mtime, checksum }: CpioFile): Buffer {
  if (size > MAX_SIZE) {
    throw new UserError(
      'SWU_TOO_LARGE',
      `${name} has ${size} bytes; a file in a .swu can have ${MAX_SIZE}`,
      'Compress it: swupdate: { compression: zstd }; or use smaller partitions.',
    );
  }
  const field = (value: number) => value.toString(16).padStart(8, '0');
  const isTrailer = name === TRAILER;
  const fields = [
    0, // inode: names decide
    isTrailer ? 0 : 0o100644,
    0, 0, // root
    1, // links
    mtime, size,
    0, 0, 0, 0, // device numbers
    name.length + 1,
    checksum,
  ]; // prettier-ignore
  const head = Buffer.from(`070702${fields.map(field).join('')}${name}\0`, 'latin1');
  return Buffer.concat([head, cpioPadding(head.length)]);
}

const TRAILER = 'TRAILER!!!';

/** What an archive ends with. */
export function cpioTrailer(): Buffer {
  return cpioHeader({ name: TRAILER, size: 0, mtime: 0, checksum: 0 });
}

/** Zeros up to the next multiple of four. */
export function cpioPadding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}

/** Sum of all bytes, 32 bits. */
export function sumOf(bytes: Uint8Array, sum = 0): number {
  // a chunk is too short for the sum of its bytes to leave what a number holds exactly
  let all = sum;
  for (let i = 0; i < bytes.length; i++) all += bytes[i]!;
  return all >>> 0;
}

export async function checksumFile(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    let sum = 0;
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return sum;
      sum = sumOf(buffer.subarray(0, bytesRead), sum);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
