import { headerFormat, readNumber, readText, type HeaderFormat } from './header-block.ts';
import { paxNumber, parsePaxTime, paxXattrs, type PaxRecords } from './pax-records.ts';
import { BadField } from './header-block.ts';
import type { Xattr } from '@boxship/model';

/** The fields of one header block, extended headers applied. Names as bytes, not yet cleaned. */
export interface PlainHeader {
  /** The type flag as a character code. */
  type: number;
  format: HeaderFormat;
  name: string;
  link: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  mtimeNanoseconds: number;
  /** Stored bytes that follow, when the type has data. */
  stored: number;
  major: number;
  minor: number;
  xattrs: readonly Xattr[] | undefined;
}

/** Throws BadField. */
export function readPlainHeader(block: Buffer, at: number): PlainHeader {
  const format = headerFormat(block, at);
  let name = readText(block, at, 100);
  if (format !== 'v7') {
    const prefix = readPrefix(block, at, format);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  return {
    type: block[at + 156]!,
    format,
    name,
    link: block[at + 157] === 0 ? '' : readText(block, at + 157, 100),
    mode: readNumber(block, at + 100, 8),
    uid: readNumber(block, at + 108, 8),
    gid: readNumber(block, at + 116, 8),
    mtime: readNumber(block, at + 136, 12),
    mtimeNanoseconds: 0,
    stored: readNumber(block, at + 124, 12),
    major: format === 'v7' ? 0 : readNumber(block, at + 329, 8),
    minor: format === 'v7' ? 0 : readNumber(block, at + 337, 8),
    xattrs: undefined,
  };
}

function readPrefix(block: Buffer, at: number, format: HeaderFormat): string {
  if (block[at + 345] === 0) return '';
  if (format === 'ustar') return readText(block, at + 345, 155);
  if (format === 'star') return readText(block, at + 345, 131);
  // GNU has atime and ctime here, but Go before 1.8, with which old docker layers were made, put a prefix (golang#12594)
  try {
    readNumber(block, at + 345, 12);
    if (block[at + 357] !== 0) readNumber(block, at + 357, 12);
    return '';
  } catch (error) {
    if (!(error instanceof BadField)) throw error;
    const prefix = readText(block, at + 345, 155);
    // eslint-disable-next-line no-control-regex
    return /^[\x01-\x7f]*$/.test(prefix) ? prefix : '';
  }
}

/** Sets what the records of a PAX header say. Empty values keep the header's own (as Go does). Throws BadField. */
export function applyPaxRecords(header: PlainHeader, records: PaxRecords): void {
  header.name = paxText(records, 'path') ?? header.name;
  header.link = paxText(records, 'linkpath') ?? header.link;
  header.stored = paxNumber(records, 'size') ?? header.stored;
  header.uid = paxNumber(records, 'uid') ?? header.uid;
  header.gid = paxNumber(records, 'gid') ?? header.gid;
  const mtime = records.get('mtime');
  if (mtime) {
    const time = parsePaxTime(mtime);
    header.mtime = time.seconds;
    header.mtimeNanoseconds = time.nanoseconds;
  }
  header.xattrs = paxXattrs(records);
}

function paxText(records: PaxRecords, key: string): string | undefined {
  const text = records.get(key);
  if (text === undefined || text === '') return undefined;
  if (text.includes('\0')) throw new BadField(`PAX ${key} holds a NUL`);
  return text;
}
