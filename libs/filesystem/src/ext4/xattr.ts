import { UserError, type BytePath, type Xattr } from '@boxship/model';
import { BLOCK_SIZE } from './geometry.ts';
import { crc32c, crc32cOfNumber } from './crc32c.ts';
import { toDiskAcl } from './posix-acl.ts';
import { showPath } from './tree-error.ts';

/** Documentation/filesystems/ext4/attributes.rst: `h_magic` of the header in an inode and of that in a block. */
const XATTR_MAGIC = 0xea020000;

/** Room behind the extra fields of a 256-byte inode: 256 - 128 - 32. */
export const INLINE_XATTR_ROOM = 256 - 128 - 32;

/** Inodes that may share one block: fs/ext4/xattr.h `EXT4_XATTR_REFCOUNT_MAX`. */
export const XATTR_REFCOUNT_MAX = 1024;

/** Bytes of `struct ext4_xattr_header` and of `struct ext4_xattr_entry` without its name. */
const HEADER = 32;
const ENTRY = 16;

/** "Attribute Name Indices" of attributes.rst; the first prefix that fits is taken, so ACLs come before `system.`. */
const NAME_INDEXES = [
  { prefix: 'system.posix_acl_access', index: 2, whole: true },
  { prefix: 'system.posix_acl_default', index: 3, whole: true },
  { prefix: 'user.', index: 1, whole: false },
  { prefix: 'trusted.', index: 4, whole: false },
  { prefix: 'security.', index: 6, whole: false },
  { prefix: 'system.', index: 7, whole: false },
] as const;

/** One attribute in the form of the disk. */
interface DiskXattr {
  readonly index: number;
  /** Name without its prefix. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Attributes of one inode: what lies in the inode, and what lies in a block (its checksum and count still 0). */
export interface EncodedXattrs {
  readonly inline?: Uint8Array;
  readonly block?: Uint8Array;
}

/**
 * Places the attributes of one entry: in the inode if they all fit, else all in one block, else the smallest in the inode
 * and the rest in a block. Errors: BAD_XATTR (a name or value ext4 cannot keep), XATTR_TOO_LARGE.
 */
export function encodeXattrs(path: BytePath, xattrs: readonly Xattr[]): EncodedXattrs {
  const all = xattrs.map((xattr) => toDisk(path, xattr)).sort(compare);
  const twice = all.find((xattr, at) => at > 0 && compare(all[at - 1]!, xattr) === 0);
  if (twice) throw badXattr(path, 'one extended attribute is given twice');
  if (all.length === 0) return {};
  if (inlineSize(all) <= INLINE_XATTR_ROOM) return { inline: encode(all, INLINE_XATTR_ROOM, 4, false) };
  let inBlock = all;
  const inline: DiskXattr[] = [];
  if (blockSize(all) > BLOCK_SIZE) {
    for (const xattr of [...all].sort((a, b) => entrySize(a) - entrySize(b))) {
      if (inlineSize([...inline, xattr]) > INLINE_XATTR_ROOM) break;
      inline.push(xattr);
    }
    inBlock = all.filter((xattr) => !inline.includes(xattr));
    if (blockSize(inBlock) > BLOCK_SIZE) {
      throw new UserError(
        'XATTR_TOO_LARGE',
        `${showPath(path)}: its extended attributes need ${blockSize(all)} bytes, ext4 has room for ${BLOCK_SIZE + INLINE_XATTR_ROOM}`,
        'Remove or shorten extended attributes of this file.',
      );
    }
  }
  return {
    ...(inline.length > 0 ? { inline: encode(inline.sort(compare), INLINE_XATTR_ROOM, 4, false) } : {}),
    block: encode(inBlock, BLOCK_SIZE, HEADER, true),
  };
}

/** Sets the reference count and the checksum of a block (fs/ext4/xattr.c `ext4_xattr_block_csum`). */
export function sealXattrBlock(block: Uint8Array, references: number, blockNumber: number, seed: number): void {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  view.setUint32(4, references, true);
  view.setUint32(16, 0, true);
  const high = Math.floor(blockNumber / 2 ** 32);
  view.setUint32(16, crc32c(crc32cOfNumber(crc32cOfNumber(seed, blockNumber >>> 0), high), block), true);
}

function toDisk(path: BytePath, { name, value }: Xattr): DiskXattr {
  const namespace = NAME_INDEXES.find(({ prefix, whole }) => (whole ? name === prefix : name.startsWith(prefix)));
  if (!namespace) throw badXattr(path, `ext4 has no place for the extended attribute ${JSON.stringify(name)}`);
  const rest = Buffer.from(name.slice(namespace.prefix.length), /^[\0-\xff]*$/.test(name) ? 'latin1' : 'utf8');
  if ((rest.length === 0 && !namespace.whole) || rest.length > 255 || rest.includes(0)) {
    throw badXattr(path, `${JSON.stringify(name)} is no name of an extended attribute`);
  }
  const diskValue = namespace.whole ? toDiskAcl(value) : value;
  if (!diskValue) throw badXattr(path, `the value of ${name} is not a POSIX ACL`);
  return { index: namespace.index, name: rest, value: diskValue };
}

function badXattr(path: BytePath, message: string): UserError {
  return new UserError(
    'BAD_XATTR',
    `${showPath(path)}: ${message}`,
    'Names start with user., trusted., security. or system., and come once.',
  );
}

/** The order that the kernel searches blocks in: name index, length of the name, name (fs/ext4/xattr.c). */
function compare(a: DiskXattr, b: DiskXattr): number {
  return a.index - b.index || a.name.length - b.name.length || Buffer.compare(a.name, b.name);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function entrySize({ name, value }: DiskXattr): number {
  return padded(ENTRY + name.length) + padded(value.length);
}

/** Header (its magic alone), entries, four zero bytes that end them, values. */
function inlineSize(xattrs: readonly DiskXattr[]): number {
  return xattrs.reduce((sum, xattr) => sum + entrySize(xattr), 4 + 4);
}

function blockSize(xattrs: readonly DiskXattr[]): number {
  return xattrs.reduce((sum, xattr) => sum + entrySize(xattr), HEADER + 4);
}

/** Entries grow from the front, values from the back; offsets count from the first entry in an inode, from 0 in a block. */
function encode(xattrs: readonly DiskXattr[], size: number, header: number, inBlock: boolean): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, XATTR_MAGIC, true);
  let entry = header;
  let valueStart = size;
  let blockHash = 0;
  let hashed = true;
  for (const { index, name, value } of xattrs) {
    valueStart -= padded(value.length);
    bytes.set(value, valueStart);
    bytes.set(name, entry + ENTRY);
    bytes[entry] = name.length;
    bytes[entry + 1] = index;
    view.setUint16(entry + 2, value.length === 0 ? 0 : valueStart - (inBlock ? 0 : header), true);
    view.setUint32(entry + 8, value.length, true);
    if (inBlock) {
      const hash = entryHash(name, view, valueStart, value.length);
      view.setUint32(entry + 12, hash, true);
      hashed &&= hash !== 0;
      blockHash = ((blockHash << 16) ^ (blockHash >>> 16) ^ hash) >>> 0;
    }
    entry += padded(ENTRY + name.length);
  }
  if (inBlock) {
    view.setUint32(8, 1, true); // h_blocks
    view.setUint32(12, hashed ? blockHash : 0, true); // 0: a block that must not be shared by hash
  }
  return bytes;
}

/** `e_hash`: fs/ext4/xattr.c `ext4_xattr_hash_entry`, over the name and the padded value as little-endian words. */
function entryHash(name: Uint8Array, view: DataView, valueStart: number, valueLength: number): number {
  let hash = 0;
  for (const byte of name) hash = (hash << 5) ^ (hash >>> 27) ^ byte;
  for (let at = 0; at < valueLength; at += 4) {
    hash = (hash << 16) ^ (hash >>> 16) ^ view.getUint32(valueStart + at, true);
  }
  return hash >>> 0;
}
