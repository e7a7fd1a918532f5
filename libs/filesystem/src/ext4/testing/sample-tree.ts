import type { ContentSource, Tree, TreeEntry, Xattr } from '@boxship/model';

/** Bytes that repeat nowhere near, the same on every run. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A source that hands out its bytes in chunks of odd sizes, always in the same buffer. */
export function choppedSource(id: string, bytes: Uint8Array, chunk = 65536): ContentSource {
  return {
    id,
    size: bytes.length,

    async *open() {
      const buffer = new Uint8Array(chunk);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const length = Math.min(bytes.length - at, 1 + ((turn * 7919) % chunk));
        buffer.set(bytes.subarray(at, at + length));
        yield buffer.subarray(0, length);
        at += length;
      }
    },
  };
}

export function treeOf(...entries: TreeEntry[]): Tree {
  return { entries: () => entries };
}

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000, mtimeNanoseconds: 0, size: 0 };

export function directory(path: string, more: Partial<TreeEntry> = {}): TreeEntry {
  return { ...plain, mode: 0o755, type: 'directory', path, ...more };
}

export function file(path: string, source?: ContentSource, offset = 0, size = 0): TreeEntry {
  return { ...plain, type: 'file', path, size, ...(source && size > 0 ? { content: { source, offset } } : {}) };
}

export function other(type: TreeEntry['type'], path: string, more: Partial<TreeEntry> = {}): TreeEntry {
  return { ...plain, type, path, ...more };
}

function xattr(name: string, value: string | Uint8Array): Xattr {
  return { name, value: typeof value === 'string' ? Buffer.from(value) : value };
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

/** u::rwx, u:1000:r-x, g::r-x, m::r-x, o::--- in the form of the system calls. */
const ACL = Buffer.from(
  '02000000' + '01000700ffffffff' + '02000500e8030000' + '04000500ffffffff' + '10000500ffffffff' + '20000000ffffffff',
  'hex',
);

/** A tree with at least one of everything that image layers hold. */
export function sampleTree(): Tree {
  const one = choppedSource('one', noise(3_000_000, 1));
  const two = choppedSource('two', noise(700_001, 2), 4096);
  const long = 'd'.repeat(255);
  const big = noise(900, 3);
  return treeOf(
    directory('', { mode: 0o751, uid: 3, mtime: 5, mtimeNanoseconds: 7 }),
    directory('etc', { mtimeNanoseconds: 999_999_999 }),
    file('etc/empty'),
    file('etc/one-byte', one, 0, 1),
    file('etc/block', one, 1, 4096),
    file('etc/block-and-one', one, 4097, 4097),
    file('etc/large', one, 10_000, 2_900_000),
    file('etc/overlaps-large', one, 500_000, 1_700_000),
    file('etc/same-again', one, 10_000, 2_900_000),
    file('etc/two', two, 0, 700_001),
    file('etc/two-backwards', two, 0, 10),
    directory('bin', { mode: 0o1777 }),
    { ...file('bin/su', two, 5, 5000), mode: 0o4755 },
    { ...file('bin/wall', two, 5, 5000), mode: 0o2711, uid: 4_294_967_294, gid: 4_294_967_293 },
    { ...file('bin/ping', two, 9, 9), xattrs: [xattr('security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'))] }, // prettier-ignore
    directory('xattrs', { xattrs: [xattr('trusted.overlay.opaque', 'y'), xattr('user.empty', '')] }),
    { ...file('xattrs/block'), xattrs: [xattr('user.big', big), xattr('trusted.x', 'yes'), xattr('security.y', 'no')] },
    {
      ...file('xattrs/shared'),
      xattrs: [xattr('user.big', big), xattr('trusted.x', 'yes'), xattr('security.y', 'no')],
    },
    { ...file('xattrs/both'), xattrs: [xattr('user.huge', noise(4020, 9)), xattr('user.small', 'in the inode')] },
    { ...file('xattrs/acl'), mode: 0o750, xattrs: [xattr('system.posix_acl_access', ACL)] },
    directory('xattrs/default-acl', { xattrs: [xattr('system.posix_acl_default', ACL)] }),
    other('symlink', 'xattrs/link', { mode: 0o777, link: 'block', xattrs: [xattr('trusted.link', 'l')] }),
    directory(long),
    directory(`${long}/${long}`),
    file(`${long}/${long}/${'f'.repeat(255)}`, one, 77, 77),
    file(latin1('etc/grüße-日本-\u{1f600}'), one, 100, 100),
    file('etc/\xff\xfe not utf-8', one, 100, 100),
    other('symlink', 'short', { mode: 0o777, link: 'etc/empty' }),
    other('symlink', 'link-59', { mode: 0o777, link: 'a'.repeat(59) }),
    other('symlink', 'link-60', { mode: 0o777, link: 'a'.repeat(60) }),
    other('symlink', 'link-4095', { mode: 0o777, link: 'b/'.repeat(2047) + 'c' }),
    other('symlink', 'link-absolute', { mode: 0o777, link: '/nowhere/../at all', uid: 5, mtimeNanoseconds: 1 }),
    other('hardlink', 'etc/linked', { link: 'etc/large' }),
    other('hardlink', 'bin/linked', { link: 'etc/linked' }),
    other('hardlink', 'link-linked', { link: 'short' }),
    directory('dev'),
    other('characterDevice', 'dev/whiteout', { major: 0, minor: 0, mode: 0 }),
    other('characterDevice', 'dev/null', { major: 1, minor: 3, mode: 0o666 }),
    other('blockDevice', 'dev/old', { major: 255, minor: 255 }),
    other('blockDevice', 'dev/minor', { major: 8, minor: 256 }),
    other('characterDevice', 'dev/major', { major: 4095, minor: 1_048_575 }),
    other('fifo', 'dev/fifo', { uid: 65_536 }),
    other('socket', 'dev/socket', { mode: 0o700, gid: 70_000 }),
    { ...file('etc/1901'), mtime: -(2 ** 31) },
    { ...file('etc/1969'), mtime: -1 },
    { ...file('etc/2038'), mtime: 2 ** 31, mtimeNanoseconds: 5 },
    { ...file('etc/2446'), mtime: 2 ** 34 - 2 ** 31 - 1 },
    { ...file('etc/hole'), size: 1_000_000, content: { source: one, segments: [] } },
    {
      ...file('etc/sparse'),
      size: 2_000_001,
      content: {
        source: one,
        segments: [
          { position: 100, offset: 50, length: 200 },
          { position: 400, offset: 300, length: 4000 },
          { position: 8192, offset: 5000, length: 4096 },
          { position: 12_300, offset: 10_000, length: 5 },
          { position: 1_000_001, offset: 20_000, length: 300_000 },
          { position: 2_000_000, offset: 2_999_999, length: 1 },
        ],
      },
    },
    directory('lost+found', { mode: 0o700 }),
    file('lost+found/#12', two, 3, 3),
  );
}
