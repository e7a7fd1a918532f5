import { UserError, type TreeEntry } from '@boxship/model';
import { BLOCK_SIZE } from './header-block.ts';
import { printableName } from './tar-error.ts';

const TYPE_FLAGS: Readonly<Partial<Record<TreeEntry['type'], string>>> = {
  file: '0', hardlink: '1', symlink: '2', characterDevice: '3', blockDevice: '4', directory: '5', fifo: '6',
}; // prettier-ignore

/** Largest number of a field of `digits` octal digits. */
const octalLimit = (digits: number) => 8 ** digits - 1;

/**
 * The header blocks of one entry: a ustar header and, only where it cannot say all, a PAX header before it (long names and
 * links, sizes from 8 GiB, ids from 2^21, nanoseconds, times before 1970 or after 2242, extended attributes).
 * Equal entries give equal bytes: no user names, no process ids. Errors: TAR_UNSUPPORTED_ENTRY for a socket.
 */
export function tarHeader(entry: TreeEntry): Buffer {
  const flag = TYPE_FLAGS[entry.type];
  if (flag === undefined) {
    throw new UserError(
      'TAR_UNSUPPORTED_ENTRY',
      `"${printableName(entry.path)}" is a ${entry.type}, which no tar format can hold`,
      'Leave it out; programs make their sockets when they start.',
    );
  }
  const name = entry.type === 'directory' ? `${entry.path || '.'}/` : entry.path;
  const link = entry.type === 'symlink' || entry.type === 'hardlink' ? (entry.link ?? '') : '';
  const pax: string[] = [];
  const split = splitName(name);
  if (!split) pax.push(paxRecord('path', name));
  if (link.length > 100) pax.push(paxRecord('linkpath', link));
  if (entry.size > octalLimit(11)) pax.push(paxRecord('size', String(entry.size)));
  if (entry.uid > octalLimit(7)) pax.push(paxRecord('uid', String(entry.uid)));
  if (entry.gid > octalLimit(7)) pax.push(paxRecord('gid', String(entry.gid)));
  const plainTime = entry.mtimeNanoseconds === 0 && entry.mtime >= 0 && entry.mtime <= octalLimit(11);
  if (!plainTime) pax.push(paxRecord('mtime', formatPaxTime(entry.mtime, entry.mtimeNanoseconds)));
  for (const { name: attribute, value } of entry.xattrs ?? []) {
    const key = attribute.replaceAll('%', '%25').replaceAll('=', '%3D'); // as GNU tar since 1.29
    pax.push(paxRecord(`SCHILY.xattr.${key}`, Buffer.from(value).toString('latin1')));
  }
  const [prefix, rest] = split ?? ['', name.slice(0, 100)];
  const block = ustarBlock({
    name: rest, prefix, link: link.slice(0, 100), flag, mode: entry.mode,
    uid: entry.uid > octalLimit(7) ? 0 : entry.uid,
    gid: entry.gid > octalLimit(7) ? 0 : entry.gid,
    size: entry.type !== 'file' || entry.size > octalLimit(11) ? 0 : entry.size,
    mtime: Math.min(Math.max(entry.mtime, 0), octalLimit(11)),
    major: entry.major ?? 0, minor: entry.minor ?? 0,
  }); // prettier-ignore
  if (pax.length === 0) return block;
  const records = Buffer.from(pax.join(''), 'latin1');
  const paxBlock = ustarBlock({
    name: `PaxHeaders/${rest.replace(/\/$/, '').split('/').pop()!}`.slice(0, 100),
    prefix: '', link: '', flag: 'x', mode: 0o644, uid: 0, gid: 0, size: records.length, mtime: 0, major: 0, minor: 0,
  }); // prettier-ignore
  return Buffer.concat([paxBlock, records, Buffer.alloc(-records.length & (BLOCK_SIZE - 1)), block]);
}

interface UstarFields {
  name: string; prefix: string; link: string; flag: string; mode: number; uid: number; gid: number; size: number;
  mtime: number; major: number; minor: number;
} // prettier-ignore

function ustarBlock(fields: UstarFields): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  const octal = (value: number, at: number, digits: number) =>
    block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  block.write(fields.name, 0, 100, 'latin1');
  octal(fields.mode, 100, 7);
  octal(fields.uid, 108, 7);
  octal(fields.gid, 116, 7);
  octal(fields.size, 124, 11);
  octal(fields.mtime, 136, 11);
  block.write('        ', 148, 'latin1');
  block.write(fields.flag, 156, 'latin1');
  block.write(fields.link, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(fields.major, 329, 7);
  octal(fields.minor, 337, 7);
  block.write(fields.prefix, 345, 155, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Prefix (at most 155 bytes) and name (at most 100), cut at a slash; `undefined` when ustar cannot hold it. */
function splitName(name: string): readonly [string, string] | undefined {
  if (name.length <= 100) return ['', name];
  if (name.length > 256) return undefined;
  // the earliest cut that leaves at most 100 bytes; a name may not be empty, so never behind a final slash
  const slash = name.indexOf('/', name.length - 101);
  return slash > 0 && slash <= 155 && slash < name.length - 1
    ? [name.slice(0, slash), name.slice(slash + 1)]
    : undefined;
}

/** The length counts its own digits (POSIX.1-2017 pax). */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  length = rest.length + String(length).length;
  return `${length}${rest}`;
}

function formatPaxTime(seconds: number, nanoseconds: number): string {
  const negative = seconds < 0 && nanoseconds > 0;
  const whole = negative ? -(seconds + 1) : seconds;
  const fraction = negative ? 1e9 - nanoseconds : nanoseconds;
  const text = fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
  return `${negative ? '-' : ''}${whole}${text}`;
}
