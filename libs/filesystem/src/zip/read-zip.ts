import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { UserError, type RandomReader } from '@boxship/model';
import { cleanEntryPath } from '../tar/entry-path.ts';

/** One file of a zip archive. */
export interface ZipEntry {
  /** As the archive has it, each character a byte; folders end with `/`. */
  readonly rawName: string;
  /** Cleaned; nothing leads out of the archive's root. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'other';
  /** Bytes of the file. */
  readonly size: number;
  /** Its bytes, checked against size and CRC-32. Errors: ZIP_DAMAGED. */
  open(): AsyncIterable<Uint8Array>;
}

// APPNOTE.TXT 6.3.10: 4.3.16 end of central directory, 4.3.14 and 4.3.15 their zip64 forms, 4.3.12 central directory
// header, 4.3.7 local file header, 4.5.3 zip64 extra field.
const END = 0x06054b50;
const END_SIZE = 22;
const END64_LOCATOR = 0x07064b50;
const END64_LOCATOR_SIZE = 20;
const END64 = 0x06064b50;
const CENTRAL = 0x02014b50;
const CENTRAL_SIZE = 46;
const LOCAL = 0x04034b50;
const LOCAL_SIZE = 30;
const MAX_COMMENT = 0xffff;
const MAX_DIRECTORY = 64 * 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** High byte of "version made by": names and attributes are Unix's (4.4.2.2). */
const UNIX = 3;
const S_IFMT = 0xf000;
const S_IFREG = 0x8000;

/** Whether the bytes begin as a zip archive does. */
export async function isZip(reader: RandomReader): Promise<boolean> {
  return reader.size >= END_SIZE && Buffer.from(await reader.read(0, 4)).readUInt32LE() === LOCAL;
}

/**
 * The files of a zip archive, stored or deflated, zip64 too. Errors: ZIP_DAMAGED, ZIP_UNSUPPORTED, ZIP_UNSAFE_PATH, each
 * with the name of the archive and of the entry.
 */
export async function readZip(reader: RandomReader, archive: string): Promise<readonly ZipEntry[]> {
  const damaged = (what: string) => new UserError('ZIP_DAMAGED', `${archive}: ${what}`, 'Fetch it again.');
  const read = async (position: number, length: number) => {
    if (position < 0 || position + length > reader.size) {
      throw damaged(`it has ${reader.size} bytes and should go on to ${position + length}`);
    }
    return Buffer.from(await reader.read(position, length));
  };
  const { offset, size, count } = await findDirectory(reader, read, damaged);
  if (size > MAX_DIRECTORY) throw damaged(`its directory has ${size} bytes`);
  const directory = await read(offset, size);
  const entries: ZipEntry[] = [];
  for (let at = 0; entries.length < count;) {
    if (at + CENTRAL_SIZE > size || directory.readUInt32LE(at) !== CENTRAL) {
      throw damaged(`its directory ends after ${entries.length} of ${count} entries`);
    }
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const end = at + CENTRAL_SIZE + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (end > size) throw damaged(`its directory ends after ${entries.length} of ${count} entries`);
    const rawName = directory.toString('latin1', at + CENTRAL_SIZE, at + CENTRAL_SIZE + nameLength);
    const extra = directory.subarray(at + CENTRAL_SIZE + nameLength, at + CENTRAL_SIZE + nameLength + extraLength);
    entries.push(entryAt(directory.subarray(at, at + CENTRAL_SIZE), extra, rawName));
    at = end;
  }
  return entries;

  function entryAt(header: Buffer, extra: Buffer, rawName: string): ZipEntry {
    const flags = header.readUInt16LE(8);
    const method = header.readUInt16LE(10);
    const crc = header.readUInt32LE(16);
    const [fileSize, packedSize, start] = zip64(
      [24, 20, 42].map((at) => header.readUInt32LE(at)),
      extra,
    );
    const path = cleanEntryPath(rawName);
    if (path === undefined || rawName.startsWith('/') || /[\0\\]/.test(rawName)) {
      throw new UserError('ZIP_UNSAFE_PATH', `${archive}: the name ${JSON.stringify(rawName)} leads out of it`);
    }
    if ((flags & ENCRYPTED) !== 0 || (method !== STORED && method !== DEFLATED)) {
      const what = (flags & ENCRYPTED) !== 0 ? 'encrypted' : `compressed by method ${method}`;
      throw new UserError('ZIP_UNSUPPORTED', `${archive}: ${rawName} is ${what}`, 'Pack it again with plain deflate.');
    }
    const mode = header.readUInt16LE(4) >> 8 === UNIX ? header.readUInt32LE(38) >>> 16 : S_IFREG;
    const isFile = (mode & S_IFMT) === S_IFREG || (mode & S_IFMT) === 0;
    const type = rawName.endsWith('/') ? 'directory' : isFile ? 'file' : 'other';
    async function* open(): AsyncGenerator<Uint8Array> {
      const local = await read(start!, LOCAL_SIZE);
      if (local.readUInt32LE() !== LOCAL) throw damaged(`${rawName} is not at byte ${start}`);
      const data = start! + LOCAL_SIZE + local.readUInt16LE(26) + local.readUInt16LE(28);
      let length = 0;
      let sum = 0;
      for await (const chunk of unpacked(data, packedSize!, method, rawName)) {
        length += chunk.length;
        sum = crc32(chunk, sum);
        if (length > fileSize!) break;
        yield chunk;
      }
      if (length !== fileSize) throw damaged(`${rawName} has ${length} bytes, its directory says ${fileSize}`);
      if (sum !== crc) throw damaged(`the checksum of ${rawName} is wrong`);
    }
    return { rawName, path, type, size: fileSize!, open };
  }

  async function* stored(start: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < length; at += 1 << 20) yield await read(start + at, Math.min(1 << 20, length - at));
  }

  async function* unpacked(start: number, length: number, method: number, name: string): AsyncGenerator<Uint8Array> {
    if (method === STORED) return yield* stored(start, length);
    const inflate = createInflateRaw();
    const feeding = pipeline(Readable.from(stored(start, length)), inflate);
    feeding.catch(() => {}); // told by the reader below
    try {
      for await (const chunk of inflate) yield chunk as Buffer;
      await feeding;
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw damaged(`${name} cannot be inflated: ${(error as Error).message}`);
    }
  }
}

/** Sizes and offset with those that are kept in the extra field because they do not fit into 32 bits. */
function zip64(values: readonly number[], extra: Buffer): readonly number[] {
  let more: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) more = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  let next = 0;
  return values.map((value) => {
    if (value !== 0xffffffff || next + 8 > more.length) return value;
    next += 8;
    return Number(more.readBigUInt64LE(next - 8));
  });
}

async function findDirectory(
  reader: RandomReader,
  read: (position: number, length: number) => Promise<Buffer>,
  damaged: (what: string) => UserError,
): Promise<{ readonly offset: number; readonly size: number; readonly count: number }> {
  const length = Math.min(reader.size, END_SIZE + MAX_COMMENT);
  const tail = await read(reader.size - length, length);
  for (let at = length - END_SIZE; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END || at + END_SIZE + tail.readUInt16LE(at + 20) > length) continue;
    const plain = { offset: tail.readUInt32LE(at + 16), size: tail.readUInt32LE(at + 12), count: tail.readUInt16LE(at + 10) }; // prettier-ignore
    const place = reader.size - length + at - END64_LOCATOR_SIZE;
    if (place < 0) return plain;
    const locator = await read(place, END64_LOCATOR_SIZE);
    if (locator.readUInt32LE() !== END64_LOCATOR) return plain;
    const end = await read(Number(locator.readBigUInt64LE(8)), 56);
    if (end.readUInt32LE() !== END64) throw damaged('its zip64 directory is not where it should be');
    const [count, size, offset] = [32, 40, 48].map((field) => Number(end.readBigUInt64LE(field)));
    return { offset: offset!, size: size!, count: count! };
  }
  throw damaged('it has no directory: it was cut short');
}
