import type { FileSegment, FileType } from '@boxship/model';
import { cleanEntryPath } from './entry-path.ts';
import { BadField, BLOCK_SIZE, checksumFits, isZeroBlock, readNumber } from './header-block.ts';
import { parsePaxRecords, paxNumber, type PaxRecords } from './pax-records.ts';
import { applyPaxRecords, readPlainHeader, type PlainHeader } from './plain-header.ts';
import {
  parsePaxSparseMap,
  parseSparseMapLines,
  paxSparseVersion,
  placeSparseRuns,
  readOldSparseRuns,
  sparseMapLineCount,
  type SparseRun,
} from './sparse-map.ts';
import type { TarEntry, TarVisitor } from './tar-entry.ts';
import { printableName, tarError, type TarProblemCode } from './tar-error.ts';

export interface TarOptions {
  /** How errors call the stream: `layer sha256:…`. Default "tar". */
  readonly name?: string;
  /**
   * What PAX global headers do. `apply` is POSIX and what tar programs do; `ignore` is what container engines do (Go's
   * archive/tar hands them out and applies nothing). Default `apply`.
   */
  readonly globalHeaders?: 'apply' | 'ignore';
}

/** A push parser: give it the stream in pieces of any size, then call `end`. Unusable after an error. */
export interface TarParser {
  push(chunk: Uint8Array): void;
  /** The stream is over. Fails when it is so in the middle of something. */
  end(): void;
}

/** Extended headers, long names and sparse maps longer than this are refused, as Go's archive/tar does. */
export const MAX_SPECIAL_SIZE = 1024 * 1024;

/** 16 TiB, the longest file of ext4 with 4 KiB blocks (2^32 blocks). */
export const MAX_FILE_SIZE = 2 ** 44;

const HEADER = 0;
const SPECIAL = 1;
const SPARSE_BLOCK = 2;
const SPARSE_LINES = 3;
const DATA = 4;
const PADDING = 5;
const TRAILER = 6;

const code = (character: string) => character.charCodeAt(0);
const GNU_SPARSE = code('S');
const TYPES: ReadonlyMap<number, FileType> = new Map([
  [0, 'file'],
  [code('0'), 'file'],
  [code('1'), 'hardlink'],
  [code('2'), 'symlink'],
  [code('3'), 'characterDevice'],
  [code('4'), 'blockDevice'],
  [code('5'), 'directory'],
  [code('6'), 'fifo'],
  [code('7'), 'file'], // "contiguous": a regular file where that means nothing (POSIX)
  [GNU_SPARSE, 'file'],
]);

/**
 * Reads ustar, PAX and GNU tar (long names, base-256 numbers, every sparse format). File data is passed on, never copied
 * or kept; one entry's headers are all that is held.
 * Errors (UserError, naming entry and offset): TAR_BAD_CHECKSUM, TAR_BAD_HEADER, TAR_BAD_NAME, TAR_BAD_NUMBER,
 * TAR_BAD_SPARSE_MAP, TAR_HEADER_TOO_LARGE, TAR_TOO_LARGE, TAR_TRUNCATED, TAR_UNSAFE_PATH, TAR_UNSUPPORTED_ENTRY.
 */
export function createTarParser(visitor: TarVisitor, options: TarOptions = {}): TarParser {
  const stream = options.name ?? 'tar';
  const applyGlobals = options.globalHeaders !== 'ignore';
  const carry = Buffer.alloc(BLOCK_SIZE);
  let carried = 0;
  let state: number = HEADER;
  /** Position in the stream of the first byte that was not handled yet. */
  let offset = 0;
  let headerOffset = -1;
  let zeroSeen = false;
  let left = 0;
  let padding = 0;
  let globals: PaxRecords | undefined;
  let records: PaxRecords | undefined;
  let longName: string | undefined;
  let longLink: string | undefined;
  let special = carry;
  let specialType = 0;
  let specialName = '';
  let header: PlainHeader | undefined;
  let runs: SparseRun[] = [];
  let realSize = 0;
  let mapText = '';
  let mapLines = 0;
  let mapNewlines = 0;
  let lastName = '';
  /** The code of a BadField that is thrown now. */
  let doubt: TarProblemCode = 'TAR_BAD_HEADER';

  const fail = (problem: TarProblemCode, what: string, hint?: string) => {
    const entry = header?.name ?? longName ?? records?.get('path') ?? (state === DATA ? lastName : undefined);
    return tarError(problem, { stream, entry, offset: headerOffset < 0 ? offset : headerOffset }, what, hint);
  };

  function readHeader(block: Buffer, at: number): void {
    visitor.raw?.(block.subarray(at, at + BLOCK_SIZE));
    if (block[at] === 0 && isZeroBlock(block, at)) {
      if (headerOffset >= 0) throw fail('TAR_TRUNCATED', 'the archive ends after an extended header');
      if (zeroSeen) {
        state = TRAILER;
        visitor.archiveEnd?.();
      }
      zeroSeen = true;
      return;
    }
    if (headerOffset < 0) headerOffset = offset;
    if (zeroSeen) throw fail('TAR_BAD_HEADER', 'a single block of zeros is followed by more');
    doubt = 'TAR_BAD_NUMBER';
    if (!checksumFits(block, at)) throw fail('TAR_BAD_CHECKSUM', 'the header checksum is wrong');
    const read = readPlainHeader(block, at);
    const type = String.fromCharCode(read.type);
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (read.stored < 0 || read.stored > MAX_SPECIAL_SIZE) {
        throw fail('TAR_HEADER_TOO_LARGE', `an extended header ("${type}") of ${read.stored} bytes, at most ${MAX_SPECIAL_SIZE} are read`); // prettier-ignore
      }
      specialType = read.type;
      specialName = read.name;
      special = Buffer.allocUnsafe(read.stored);
      left = read.stored;
      padding = -read.stored & (BLOCK_SIZE - 1);
      state = SPECIAL;
      if (left === 0) endSpecial();
      return;
    }
    startEntry(read, block, at);
  }

  function endSpecial(): void {
    doubt = 'TAR_BAD_HEADER';
    const type = String.fromCharCode(specialType);
    if (type === 'x') {
      records = parsePaxRecords(special);
    } else if (type === 'g') {
      const read = parsePaxRecords(special);
      if (applyGlobals) globals = new Map([...(globals ?? []), ...read]);
      visitor.globalHeader?.(specialName);
      // headers before it belong to the next entry all the same, but none do in practice
      if (!records && longName === undefined && longLink === undefined) headerOffset = -1;
    } else {
      const end = special.indexOf(0);
      const text = special.toString('latin1', 0, end < 0 ? special.length : end);
      if (end >= 0 && special.subarray(end).some((byte) => byte !== 0)) {
        throw fail('TAR_BAD_NAME', `a NUL inside the long name "${printableName(text)}"`);
      }
      if (type === 'L') longName = text;
      else longLink = text;
    }
    special = carry;
    state = PADDING;
  }

  function startEntry(read: PlainHeader, block: Buffer, at: number): void {
    header = read;
    const merged = globals ? new Map([...globals, ...(records ?? [])]) : records;
    doubt = 'TAR_BAD_HEADER';
    if (merged) applyPaxRecords(read, merged);
    if (longName) read.name = longName;
    if (longLink) read.link = longLink;
    if (!TYPES.has(read.type)) {
      const type = printableName(String.fromCharCode(read.type));
      throw fail(
        'TAR_UNSUPPORTED_ENTRY',
        `entries of type "${type}" cannot be unpacked`,
        'Engines refuse such a layer too.',
      );
    }
    // V7 has no type for directories
    if (read.type === 0 && read.name.endsWith('/')) read.type = code('5');
    checkSize(read.stored);
    doubt = 'TAR_BAD_SPARSE_MAP';
    const sparse = merged && TYPES.get(read.type) === 'file' ? paxSparseVersion(merged) : undefined;
    if (read.type === GNU_SPARSE) {
      if (read.format !== 'gnu') throw fail('TAR_BAD_SPARSE_MAP', 'a sparse file of star, which is not supported');
      realSize = readNumber(block, at + 483, 12);
      runs = [];
      readOldSparseRuns(block, at + 386, 4, runs);
      if (block[at + 482] !== 0) state = SPARSE_BLOCK;
      else finishEntry(true, BLOCK_SIZE);
    } else if (sparse) {
      read.name = merged!.get('GNU.sparse.name') || read.name;
      if (read.name.includes('\0')) throw fail('TAR_BAD_NAME', 'the name holds a NUL');
      realSize = paxNumber(merged!, 'GNU.sparse.realsize') ?? paxNumber(merged!, 'GNU.sparse.size') ?? read.stored;
      if (sparse === '1.0') {
        mapText = '';
        mapLines = mapNewlines = 0;
        left = read.stored;
        state = SPARSE_LINES;
      } else {
        runs = parsePaxSparseMap(merged!);
        finishEntry(true, BLOCK_SIZE);
      }
    } else {
      finishEntry(false, BLOCK_SIZE);
    }
  }

  function checkSize(size: number): void {
    if (size < 0 || size > MAX_FILE_SIZE) {
      throw fail('TAR_TOO_LARGE', `a size of ${size} bytes; a file can have ${MAX_FILE_SIZE} (16 TiB)`);
    }
  }

  function readSparseBlock(block: Buffer, at: number): void {
    visitor.raw?.(block.subarray(at, at + BLOCK_SIZE));
    doubt = 'TAR_BAD_SPARSE_MAP';
    readOldSparseRuns(block, at, 21, runs);
    if (block[at + 504] === 0) finishEntry(true, BLOCK_SIZE);
  }

  function readSparseLines(block: Buffer, at: number): void {
    visitor.raw?.(block.subarray(at, at + BLOCK_SIZE));
    doubt = 'TAR_BAD_SPARSE_MAP';
    if (left < BLOCK_SIZE || mapText.length >= MAX_SPECIAL_SIZE) throw new BadField('the sparse map does not end');
    left -= BLOCK_SIZE;
    for (let i = at; i < at + BLOCK_SIZE; i++) if (block[i] === 0x0a) mapNewlines++;
    mapText += block.toString('latin1', at, at + BLOCK_SIZE);
    mapLines ||= sparseMapLineCount(mapText) ?? 0;
    if (mapLines === 0 || mapNewlines < mapLines) return;
    runs = parseSparseMapLines(mapText, mapLines);
    header!.stored = left;
    finishEntry(true, BLOCK_SIZE);
  }

  /** Tells the entry; `ahead` bytes of its headers are not yet counted in `offset`. */
  function finishEntry(sparse: boolean, ahead: number): void {
    const read = header!;
    const type = TYPES.get(read.type)!;
    const path = cleanEntryPath(read.name);
    if (path === undefined) {
      throw fail('TAR_UNSAFE_PATH', 'the name leaves the root with ".."', 'Do not use this image: such names are made to overwrite files of the host.');
    } // prettier-ignore
    if (path === '' && type !== 'directory') throw fail('TAR_BAD_NAME', `a ${type} has no name`);
    if (path.length > 65535) throw fail('TAR_BAD_NAME', `the name has ${path.length} bytes`);
    let link: string | undefined;
    if (type === 'symlink') link = read.link;
    else if (type === 'hardlink') {
      link = cleanEntryPath(read.link);
      if (link === undefined) {
        throw fail('TAR_UNSAFE_PATH', `the target "${printableName(read.link)}" of the hard link leaves the root with ".."`);
      } // prettier-ignore
    }
    if (read.uid < 0 || read.gid < 0 || read.uid > 0xffffffff || read.gid > 0xffffffff) {
      throw fail('TAR_BAD_NUMBER', `owner ${read.uid}:${read.gid}; ids go from 0 to 4294967295`);
    }
    const isFile = type === 'file';
    const isDevice = type === 'characterDevice' || type === 'blockDevice';
    const stored = isFile ? read.stored : 0; // other types have no data, whatever the field says (Go, GNU tar)
    const dataOffset = offset + ahead;
    let segments: readonly FileSegment[] | undefined;
    if (sparse) {
      doubt = 'TAR_BAD_SPARSE_MAP';
      checkSize(realSize);
      segments = placeSparseRuns(runs, realSize, stored, dataOffset);
      runs = [];
      mapText = '';
    }
    const entry: TarEntry = {
      path,
      type,
      mode: read.mode & 0o7777,
      uid: read.uid,
      gid: read.gid,
      mtime: read.mtime,
      mtimeNanoseconds: read.mtimeNanoseconds,
      size: isFile ? (sparse ? realSize : stored) : 0,
      ...(link === undefined ? undefined : { link }),
      ...(isDevice ? { major: read.major, minor: read.minor } : undefined),
      ...(read.xattrs ? { xattrs: read.xattrs } : undefined),
      rawName: read.name,
      headerOffset,
      dataOffset,
      storedSize: stored,
      ...(segments ? { segments } : undefined),
    };
    visitor.entry(entry);
    lastName = read.name;
    header = records = longName = longLink = undefined;
    left = stored;
    padding = -stored & (BLOCK_SIZE - 1);
    state = stored > 0 ? DATA : HEADER;
    if (stored === 0) headerOffset = -1;
  }

  function readBlock(block: Buffer, at: number): void {
    if (state === HEADER) readHeader(block, at);
    else if (state === SPARSE_BLOCK) readSparseBlock(block, at);
    else readSparseLines(block, at);
    offset += BLOCK_SIZE;
  }

  /** Handles what `chunk` has from `at` on and returns how many bytes that were; at least one. */
  function step(chunk: Buffer, at: number): number {
    const there = chunk.length - at;
    if (state === DATA) {
      const length = Math.min(left, there);
      visitor.data?.(length === chunk.length ? chunk : chunk.subarray(at, at + length));
      left -= length;
      offset += length;
      if (left === 0) {
        state = padding > 0 ? PADDING : HEADER;
        headerOffset = -1;
      }
      return length;
    }
    if (state === TRAILER) {
      visitor.raw?.(chunk.subarray(at));
      offset += there;
      return there;
    }
    if (state === SPECIAL) {
      const length = Math.min(left, there);
      const bytes = chunk.subarray(at, at + length);
      visitor.raw?.(bytes);
      special.set(bytes, special.length - left);
      left -= length;
      offset += length;
      if (left === 0) endSpecial();
      return length;
    }
    if (state === PADDING) {
      const length = Math.min(padding, there);
      if (length > 0) visitor.raw?.(chunk.subarray(at, at + length));
      padding -= length;
      offset += length;
      if (padding === 0) state = HEADER;
      return length;
    }
    if (carried === 0 && there >= BLOCK_SIZE) {
      readBlock(chunk, at);
      return BLOCK_SIZE;
    }
    const length = Math.min(BLOCK_SIZE - carried, there);
    chunk.copy(carry, carried, at, at + length);
    carried += length;
    if (carried === BLOCK_SIZE) {
      carried = 0;
      readBlock(carry, 0);
    }
    return length;
  }

  return {
    push(bytes) {
      const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let at = 0;
      try {
        while (at < chunk.length) at += step(chunk, at);
      } catch (error) {
        if (error instanceof BadField) throw fail(doubt, error.message);
        throw error;
      }
    },
    end() {
      if (carried > 0 || state === SPECIAL || state === SPARSE_BLOCK || state === SPARSE_LINES || state === DATA) {
        const what = state === DATA ? `; ${left} bytes of file data are missing` : ' in the middle of a header';
        throw fail('TAR_TRUNCATED', `the archive ends at byte ${offset + carried}${what}`);
      }
      if (records || longName !== undefined || longLink !== undefined) {
        throw fail('TAR_TRUNCATED', 'the archive ends after an extended header');
      }
      // padding of the last file may be missing, and so may the blocks of zeros: Go and GNU tar read such archives too
    },
  };
}
