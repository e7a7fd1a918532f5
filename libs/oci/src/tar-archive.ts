import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { UserError, type RandomReader } from '@boxship/model';
import { openFileReader, type Cache } from '@boxship/host';
import type { FileSet, StoredFile } from './file-set.ts';

const BLOCK = 512;
const CHUNK = 1024 * 1024;
/** An archive of images has a few files per layer; something with more is another kind of tar. */
const MEMBERS_MAX = 200_000;
/** Extended headers hold names and times, so a big one is hostile. */
const EXTENDED_HEADER_MAX = 1024 * 1024;
/** As many links as Linux follows (path_resolution(7)). */
const LINKS_MAX = 40;

interface Member {
  readonly offset: number;
  readonly size: number;
  /** Name in the archive that a link stands for; undefined for a file. */
  readonly link?: string;
}

/**
 * The files of a tar archive (plain or gzip), read where they lie: nothing is unpacked, so hostile names do no harm.
 * Symbolic and hard links are followed inside the archive (docker before 25 links layers that occur twice).
 * A gzip archive is inflated once into the cache (kind `archive`, key: SHA-256 of the compressed file).
 * Errors: BAD_ARCHIVE, IMAGE_UNREADABLE.
 */
export async function openTarArchive(path: string, name: string, cache: Cache): Promise<FileSet> {
  const reader = await openPlain(path, name, cache);
  try {
    const members = await indexMembers(reader, name);
    return {
      name,
      find: async (wanted) => {
        const member = followLinks(members, wanted, name);
        return member && storedFile(reader, member);
      },
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function openPlain(path: string, name: string, cache: Cache) {
  const magic = await readMagic(path);
  if (magic.length >= 2 && magic[0] === 0x1f && magic[1] === 0x8b)
    return openFileReader(await inflate(path, name, cache));
  const other = magic.length >= 4 && magic.readUInt32BE(0) === 0x28b52ffd ? 'zstd -d' : magic.subarray(1, 5).toString() === '7zXZ' ? 'xz -d' : undefined; // prettier-ignore
  if (other !== undefined)
    throw badArchive(name, 'it is compressed in a way that is not read here', `Unpack it first: ${other}.`);
  return openFileReader(path);
}

async function readMagic(path: string): Promise<Buffer> {
  try {
    const handle = await open(path);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(
      'IMAGE_UNREADABLE',
      `${path} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : code}`,
    );
  }
}

async function inflate(path: string, name: string, cache: Cache): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) hash.update(chunk as Buffer);
  return await cache.get('archive', hash.digest('hex'), async (file) => {
    try {
      await pipeline(createReadStream(path), createGunzip(), createWriteStream(file));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code?.startsWith('Z_')) throw badArchive(name, `its gzip data is damaged (${code})`);
      throw error;
    }
  });
}

function badArchive(name: string, why: string, hint = 'Save the image again.'): UserError {
  return new UserError('BAD_ARCHIVE', `${name} cannot be read: ${why}`, hint);
}

/** Walks the headers (POSIX.1-2017 pax "ustar Interchange Format", GNU tar "Basic Tar Format"); contents are skipped. */
async function indexMembers(reader: RandomReader, name: string): Promise<ReadonlyMap<string, Member>> {
  const members = new Map<string, Member>();
  let position = 0;
  let count = 0;
  let next: { path?: string; link?: string; size?: number } = {};
  if (reader.size < BLOCK) throw badArchive(name, `it has ${reader.size} bytes, so it is not a tar archive`);
  while (position + BLOCK <= reader.size) {
    const header = Buffer.from(await reader.read(position, BLOCK));
    if (header.every((byte) => byte === 0)) break;
    checkHeader(header, position, name);
    if (++count > MEMBERS_MAX)
      throw badArchive(name, `it has more than ${MEMBERS_MAX} members`, 'Is it an image archive?');
    const type = String.fromCharCode(header[156]!);
    const size = /[xgLK]/.test(type) ? number(header, 124, 12) : (next.size ?? number(header, 124, 12));
    const offset = position + BLOCK;
    const held = hasContent(type) ? size : 0;
    if (!Number.isSafeInteger(held) || held < 0 || offset + held > reader.size) {
      throw badArchive(
        name,
        `a member of ${held} bytes at ${position} reaches beyond its end at ${reader.size}: it is cut off`,
      );
    }
    position = offset + Math.ceil(held / BLOCK) * BLOCK;
    if (/[xgLK]/.test(type)) {
      if (size > EXTENDED_HEADER_MAX) throw badArchive(name, `an extended header has ${size} bytes`);
      const bytes = Buffer.from(await reader.read(offset, size));
      if (type === 'x') next = { ...next, ...paxRecords(bytes) };
      else if (type === 'L') next = { ...next, path: text(bytes) };
      else if (type === 'K') next = { ...next, link: text(bytes) };
      continue;
    }
    const path = cleanPath(next.path ?? ustarPath(header));
    const link = next.link ?? text(header.subarray(157, 257));
    next = {};
    if (path === undefined || path === '') continue;
    // of two members with one name the later counts, as for tar
    if (type === '0' || type === '\0' || type === '7') members.set(path, { offset, size });
    else if (type === '2') members.set(path, { offset, size: 0, link: joinPath(path, link) });
    else if (type === '1') members.set(path, { offset, size: 0, link: cleanPath(link) ?? '' });
  }
  return members;
}

function hasContent(type: string): boolean {
  return !/[123456]/.test(type);
}

function checkHeader(header: Buffer, position: number, name: string): void {
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : header[at]!;
  if (sum !== number(header, 148, 8)) {
    throw badArchive(name, position === 0 ? 'it is not a tar archive' : `there is no tar header at byte ${position}`);
  }
}

/** Octal text, or GNU's base 256 when the top bit is set. */
function number(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if ((field[0]! & 0x80) !== 0) {
    return field.reduce((value, byte, index) => value * 256 + (index === 0 ? byte & 0x7f : byte), 0);
  }
  const digits = text(field).trim();
  return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : NaN;
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end < 0 ? bytes.length : end).toString('utf8');
}

function ustarPath(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const isUstar = header.subarray(257, 263).toString('latin1') === 'ustar\0'; // GNU's "ustar " keeps times in the prefix
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** `<length> <key>=<value>\n`, the length counting itself (POSIX.1-2017 pax "pax Extended Header"). */
function paxRecords(bytes: Buffer): { path?: string; link?: string; size?: number } {
  const found: { path?: string; link?: string; size?: number } = {};
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? NaN : Number(bytes.subarray(at, space).toString('latin1'));
    if (!Number.isInteger(length) || length <= space - at || at + length > bytes.length) break;
    const record = bytes.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    const value = record.slice(equals + 1);
    const key = record.slice(0, equals);
    if (key === 'path') found.path = value;
    else if (key === 'linkpath') found.link = value;
    else if (key === 'size') found.size = Number(value);
    at += length;
  }
  return found;
}

/** The name without `.` and empty parts; undefined when it leaves the archive. */
function cleanPath(path: string): string | undefined {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Where a symbolic link at `path` points; '' (no member) when that is outside. */
function joinPath(path: string, link: string): string {
  return (link.startsWith('/') ? undefined : cleanPath(`${path}/../${link}`)) ?? '';
}

function followLinks(members: ReadonlyMap<string, Member>, wanted: string, name: string): Member | undefined {
  let path = cleanPath(wanted) ?? '';
  for (let hops = 0; hops <= LINKS_MAX; hops++) {
    const member = members.get(path);
    if (member?.link === undefined) {
      if (!member && hops > 0) throw badArchive(name, `"${wanted}" is a link to nothing in the archive`);
      return member;
    }
    path = member.link;
  }
  throw badArchive(name, `"${wanted}" is a loop of links`);
}

function storedFile(reader: RandomReader, { offset, size }: Member): StoredFile {
  return {
    size,
    async *open(start = 0, signal) {
      for (let done = start; done < size;) {
        signal?.throwIfAborted();
        const chunk = await reader.read(offset + done, Math.min(CHUNK, size - done));
        yield chunk;
        done += chunk.length;
      }
    },
  };
}
