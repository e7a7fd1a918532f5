import type { Xattr } from '@boxship/model';
import { BadField } from './header-block.ts';

/** Records of one extended header, keywords and values as bytes (latin1). Later records replace earlier ones. */
export type PaxRecords = ReadonlyMap<string, string>;

const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

/**
 * `"%d %s=%s\n"` records (POSIX.1-2017 pax, "pax Extended Header"). The repeated `GNU.sparse.offset` and
 * `GNU.sparse.numbytes` of sparse format 0.0 come back joined as one `GNU.sparse.map`, which is format 0.1.
 * Throws BadField.
 */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const records = new Map<string, string>();
  const sparse: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 8 ? '' : bytes.toString('latin1', at, space);
    const end = at + Number(digits);
    if (!/^\d+$/.test(digits) || end > bytes.length || end < space + 3 || bytes[end - 1] !== 0x0a) {
      throw new BadField(`a PAX record at byte ${at} of the extended header has a wrong length`);
    }
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end || equals === space + 1) {
      throw new BadField(`a PAX record at byte ${at} of the extended header has no keyword`);
    }
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.toString('latin1', equals + 1, end - 1);
    if (key.includes('\0')) throw new BadField('a PAX keyword holds a NUL');
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      if ((sparse.length % 2 === 0) !== (key === 'GNU.sparse.offset') || value.includes(',')) {
        throw new BadField(`${key} records are out of order`);
      }
      sparse.push(value);
    } else {
      records.set(key, value);
    }
    at = end;
  }
  if (sparse.length > 0) records.set('GNU.sparse.map', sparse.join(','));
  return records;
}

/** A decimal number that is not negative. Throws BadField. */
export function paxNumber(records: PaxRecords, key: string): number | undefined {
  const text = records.get(key);
  if (text === undefined || text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw new BadField(`PAX ${key}=${text.slice(0, 40)} is not a size or id`);
  return value;
}

/** Seconds since 1970 with a fraction of any length, cut to nanoseconds towards the past, as times are stored. */
export function parsePaxTime(text: string): { readonly seconds: number; readonly nanoseconds: number } {
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text);
  const whole = match ? Number(match[2]) : NaN;
  if (!match || !Number.isSafeInteger(whole)) throw new BadField(`PAX time ${text.slice(0, 40)} is not a number`);
  const digits = (match[3] ?? '').slice(0, 9).padEnd(9, '0');
  const nanoseconds = Number(digits);
  if (match[1] !== '-') return { seconds: whole, nanoseconds };
  return nanoseconds === 0
    ? { seconds: whole === 0 ? 0 : -whole, nanoseconds }
    : { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds };
}

/**
 * Extended attributes in the order of their names. `SCHILY.xattr.` (star, GNU tar, Go) holds the bytes themselves and
 * wins over `LIBARCHIVE.xattr.` (bsdtar), which holds base64 and a URL-encoded name; bsdtar writes both.
 */
export function paxXattrs(records: PaxRecords): readonly Xattr[] | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (key.startsWith(LIBARCHIVE_XATTR)) {
      const name = decodePercent(key.slice(LIBARCHIVE_XATTR.length), /%([0-9A-Fa-f]{2})/g);
      found ??= new Map();
      // the padding is left out, and both alphabets are about
      if (!found.has(name)) found.set(name, Uint8Array.from(Buffer.from(value, 'base64')));
    }
  }
  for (const [key, value] of records) {
    if (key.startsWith(SCHILY_XATTR)) {
      // GNU tar since 1.29 writes '%' as %25 and '=' as %3D: a keyword cannot hold '='
      const name = decodePercent(key.slice(SCHILY_XATTR.length), /%(25|3[Dd])/g);
      found ??= new Map();
      found.set(name, Uint8Array.from(Buffer.from(value, 'latin1')));
    }
  }
  if (!found) return undefined;
  return [...found]
    .map(([name, value]) => ({ name, value }))
    .filter(({ name }) => name !== '')
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function decodePercent(text: string, pattern: RegExp): string {
  return text.includes('%') ? text.replace(pattern, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))) : text;
}
