import type { BytePath, ContentSource, FileSegment, FileType, TreeEntry, Xattr } from '@boxship/model';

/**
 * One entry of an inventory as bytes: u32 length of what follows (little-endian), flags (type in the low 3 bits), path,
 * mode, uid, gid, mtime (zigzag), then what the flags tell. Numbers are varints (7 bits each, low bits first), texts a
 * length and their bytes. A change of this format needs a new INVENTORY_KIND.
 */
const TYPES: readonly FileType[] = [
  'file', 'directory', 'symlink', 'hardlink', 'characterDevice', 'blockDevice', 'fifo', 'socket',
]; // prettier-ignore
const FILE = 0;
const HAS_XATTRS = 0x08;
const HAS_SEGMENTS = 0x10;
const HAS_NANOSECONDS = 0x20;

export const LENGTH_BYTES = 4;

/** What is known of an entry while its layer is read. */
export interface RecordedEntry extends Omit<TreeEntry, 'content'> {
  /** Where the data of a file with `size` > 0 starts in the tar, when it is not sparse. */
  readonly dataOffset?: number;
  readonly segments?: readonly FileSegment[];
  /** Hard links: offset of the record of the linked entry. */
  readonly linkRecord?: number;
}

/** An upper bound of the bytes that the entry's record takes. */
export function recordBound(entry: RecordedEntry): number {
  let bound = 128 + entry.path.length + (entry.link?.length ?? 0) + 24 * (entry.segments?.length ?? 0);
  for (const { name, value } of entry.xattrs ?? []) bound += 12 + name.length + value.length;
  return bound;
}

/** Writes the record at `start` and returns where it ends; there must be `recordBound` bytes. */
export function encodeRecord(entry: RecordedEntry, into: Buffer, start: number): number {
  const type = TYPES.indexOf(entry.type);
  let at = start + LENGTH_BYTES;
  into[at++] =
    type |
    (entry.xattrs ? HAS_XATTRS : 0) |
    (entry.segments ? HAS_SEGMENTS : 0) |
    (entry.mtimeNanoseconds ? HAS_NANOSECONDS : 0);
  at = writeText(into, at, entry.path);
  at = writeVarint(into, at, entry.mode);
  at = writeVarint(into, at, entry.uid);
  at = writeVarint(into, at, entry.gid);
  at = writeVarint(into, at, entry.mtime < 0 ? -entry.mtime * 2 - 1 : entry.mtime * 2);
  if (entry.mtimeNanoseconds) at = writeVarint(into, at, entry.mtimeNanoseconds);
  if (type === FILE) {
    at = writeVarint(into, at, entry.size);
    if (entry.segments) at = writeSegments(into, at, entry.segments);
    else if (entry.size > 0) at = writeVarint(into, at, entry.dataOffset!);
  } else if (entry.type === 'symlink' || entry.type === 'hardlink') {
    at = writeText(into, at, entry.link ?? '');
    if (entry.type === 'hardlink') at = writeVarint(into, at, entry.linkRecord!);
  } else if (entry.type === 'characterDevice' || entry.type === 'blockDevice') {
    at = writeVarint(into, at, entry.major ?? 0);
    at = writeVarint(into, at, entry.minor ?? 0);
  }
  if (entry.xattrs) {
    at = writeVarint(into, at, entry.xattrs.length);
    for (const { name, value } of entry.xattrs) {
      at = writeText(into, at, name);
      at = writeVarint(into, at, value.length);
      into.set(value, at);
      at += value.length;
    }
  }
  into.writeUInt32LE(at - start - LENGTH_BYTES, start);
  return at;
}

function writeText(into: Buffer, start: number, text: string): number {
  const at = writeVarint(into, start, text.length);
  return at + into.write(text, at, 'latin1');
}

function writeSegments(into: Buffer, start: number, segments: readonly FileSegment[]): number {
  let at = writeVarint(into, start, segments.length);
  // a tar holds the runs one behind the other
  if (segments.length > 0) at = writeVarint(into, at, segments[0]!.offset);
  for (const { position, length } of segments) {
    at = writeVarint(into, at, position);
    at = writeVarint(into, at, length);
  }
  return at;
}

function writeVarint(into: Buffer, start: number, number: number): number {
  let value = number;
  let at = start;
  while (value > 0x7fffffff) {
    into[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value > 127) {
    into[at++] = (value & 127) | 0x80;
    value >>>= 7;
  }
  into[at++] = value;
  return at;
}

let cursor = 0;

function readVarint(from: Buffer): number {
  let byte = from[cursor++]!;
  if (byte < 128) return byte;
  let value = byte & 127;
  let scale = 128;
  do {
    byte = from[cursor++]!;
    value += (byte & 127) * scale;
    scale *= 128;
  } while (byte > 127);
  return value;
}

function readText(from: Buffer): string {
  const length = readVarint(from);
  cursor += length;
  return length === 0 ? '' : from.toString('latin1', cursor - length, cursor);
}

/** The path of the record at `start`. */
export function decodePath(from: Buffer, start: number): BytePath {
  cursor = start + LENGTH_BYTES + 1;
  return readText(from);
}

/** The type of the record at `start`. */
export function decodeType(from: Buffer, start: number): FileType {
  return TYPES[from[start + LENGTH_BYTES]! & 7]!;
}

/** The entry of the record at `start`; its content is a range of `source`. */
export function decodeEntry(from: Buffer, start: number, source: ContentSource): TreeEntry {
  return decode(from, start, source);
}

/** The entry of the record at `start` as it was written. */
export function decodeRecord(from: Buffer, start: number): RecordedEntry {
  return decode(from, start, undefined);
}

type Decoded = { -readonly [K in keyof (RecordedEntry & TreeEntry)]: (RecordedEntry & TreeEntry)[K] };

function decode(from: Buffer, start: number, source: ContentSource | undefined): Decoded {
  const flags = from[start + LENGTH_BYTES]!;
  cursor = start + LENGTH_BYTES + 1;
  const entry: Decoded = {
    path: readText(from),
    type: TYPES[flags & 7]!,
    mode: readVarint(from),
    uid: readVarint(from),
    gid: readVarint(from),
    mtime: 0,
    mtimeNanoseconds: 0,
    size: 0,
  };
  const zigzag = readVarint(from);
  entry.mtime = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  if (flags & HAS_NANOSECONDS) entry.mtimeNanoseconds = readVarint(from);
  const { type } = entry;
  if (type === 'file') {
    entry.size = readVarint(from);
    if (flags & HAS_SEGMENTS) {
      const segments = readSegments(from);
      if (!source) entry.segments = segments;
      else if (entry.size > 0) entry.content = { source, segments };
    } else if (entry.size > 0) {
      const offset = readVarint(from);
      if (source) entry.content = { source, offset };
      else entry.dataOffset = offset;
    }
  } else if (type === 'symlink' || type === 'hardlink') {
    entry.link = readText(from);
    if (type === 'hardlink') {
      const linkRecord = readVarint(from);
      if (!source) entry.linkRecord = linkRecord;
    }
  } else if (type === 'characterDevice' || type === 'blockDevice') {
    entry.major = readVarint(from);
    entry.minor = readVarint(from);
  }
  if (flags & HAS_XATTRS) entry.xattrs = readXattrs(from);
  return entry;
}

function readSegments(from: Buffer): FileSegment[] {
  const count = readVarint(from);
  const segments: FileSegment[] = [];
  let offset = count > 0 ? readVarint(from) : 0;
  for (let i = 0; i < count; i++) {
    const position = readVarint(from);
    const length = readVarint(from);
    segments.push({ position, offset, length });
    offset += length;
  }
  return segments;
}

function readXattrs(from: Buffer): Xattr[] {
  const count = readVarint(from);
  const xattrs: Xattr[] = [];
  for (let i = 0; i < count; i++) {
    const name = readText(from);
    const length = readVarint(from);
    cursor += length;
    xattrs.push({ name, value: new Uint8Array(from.subarray(cursor - length, cursor)) });
  }
  return xattrs;
}
