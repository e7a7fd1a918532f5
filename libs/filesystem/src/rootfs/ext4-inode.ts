import type { RandomReader, Xattr } from '@boxship/model';
import { corrupt, INCOMPAT, type Ext4Superblock } from './ext4-superblock.ts';

/** One inode, as far as reading needs it. */
export interface Inode {
  readonly number: number;
  /** st_mode: type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  readonly links: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly mtimeNanoseconds: number;
  readonly flags: number;
  /** i_block: 60 bytes of extents, block numbers, inline data or a short symlink. */
  readonly block: Buffer;
  /** Extended attributes that lie behind the fixed part of the inode. */
  readonly extra: Buffer;
  /** Block of further extended attributes, or 0. */
  readonly aclBlock: number;
  /** 512-byte units that the inode owns. */
  readonly sectors: number;
}

/** A run of blocks of a file: logical, physical, count. Physical 0 reads as zeros. */
interface Run {
  readonly logical: number;
  readonly physical: number;
  readonly count: number;
}

export const FLAG = { index: 0x1000, extents: 0x80000, eaInode: 0x200000, inlineData: 0x10000000, encrypt: 0x800 };

/** A tree of extents has at most five levels; a file that we read needs far fewer nodes than this. */
const MAX_NODES = 20_000;

/** Reads inode `number`. Errors: EXT4_CORRUPT. */
export async function readInode(reader: RandomReader, sb: Ext4Superblock, number: number): Promise<Inode> {
  if (number < 1 || number > sb.inodeCount) throw corrupt(`a directory names inode ${number} of ${sb.inodeCount}`);
  const group = Math.floor((number - 1) / sb.inodesPerGroup);
  const descriptor = await readGroupDescriptor(reader, sb, group);
  const position = descriptor.inodeTable * sb.blockSize + ((number - 1) % sb.inodesPerGroup) * sb.inodeSize;
  if (position + sb.inodeSize > sb.blockCount * sb.blockSize) throw corrupt(`inode ${number} lies outside`);
  const bytes = Buffer.from(await reader.read(position, sb.inodeSize));
  const u16 = (at: number) => bytes.readUInt16LE(at);
  const u32 = (at: number) => bytes.readUInt32LE(at);
  const extraSize = sb.inodeSize > 128 ? u16(0x80) : 0;
  const has = (end: number) => 128 + extraSize >= end;
  const mtimeExtra = has(0x8c) ? u32(0x88) : 0;
  const size = u32(0x04) + u32(0x6c) * 2 ** 32;
  if (!Number.isSafeInteger(size)) throw corrupt(`inode ${number} has a size of ${size} bytes`);
  return {
    number,
    mode: u16(0x00),
    uid: u16(0x02) + u16(0x78) * 0x10000,
    gid: u16(0x18) + u16(0x7a) * 0x10000,
    size,
    links: u16(0x1a),
    mtime: bytes.readInt32LE(0x10) + (mtimeExtra & 3) * 2 ** 32,
    mtimeNanoseconds: mtimeExtra >>> 2,
    flags: u32(0x20),
    block: bytes.subarray(0x28, 0x64),
    extra: 128 + extraSize < sb.inodeSize ? bytes.subarray(128 + extraSize) : Buffer.alloc(0),
    aclBlock: u32(0x68) + (sb.featureIncompat & INCOMPAT.is64bit ? u16(0x76) * 2 ** 32 : 0),
    sectors: u32(0x1c) + u16(0x74) * 2 ** 32,
  };
}

async function readGroupDescriptor(reader: RandomReader, sb: Ext4Superblock, group: number) {
  const perBlock = Math.floor(sb.blockSize / sb.descriptorSize);
  const block = Math.floor(group / perBlock);
  // META_BG: the descriptors of a group of groups lie in its first group (behind a superblock copy, when there is one).
  const meta = (sb.featureIncompat & INCOMPAT.metaBg) !== 0 && block >= sb.firstMetaBg;
  const firstGroup = block * perBlock;
  const at = meta
    ? sb.firstDataBlock + firstGroup * sb.blocksPerGroup + (hasSuperblock(sb, firstGroup) ? 1 : 0)
    : sb.firstDataBlock + 1 + block + (isBehindBootBlock(sb) ? 1 : 0);
  if (at >= sb.blockCount) throw corrupt(`the descriptor of group ${group} lies outside`);
  const bytes = Buffer.from(
    await reader.read(at * sb.blockSize + (group % perBlock) * sb.descriptorSize, sb.descriptorSize),
  );
  const high = sb.descriptorSize >= 64 ? bytes.readUInt32LE(0x28) : 0;
  return { inodeTable: bytes.readUInt32LE(0x08) + high * 2 ** 32 };
}

/** With clusters, a file system of blocks of 1024 bytes begins at block 0, its superblock lies in block 1. */
function isBehindBootBlock({ blockSize, firstDataBlock }: Ext4Superblock): boolean {
  return blockSize === 1024 && firstDataBlock === 0;
}

/** SPARSE_SUPER: copies of the superblock lie in groups 0, 1 and the powers of 3, 5 and 7. */
function hasSuperblock(sb: Ext4Superblock, group: number): boolean {
  if (group <= 1 || (sb.featureRoCompat & 0x1) === 0) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** The bytes `[position, position + length)` of a file; the range must lie inside its size. Errors: EXT4_CORRUPT. */
export async function readInodeBytes(
  reader: RandomReader,
  sb: Ext4Superblock,
  inode: Inode,
  position: number,
  length: number,
): Promise<Buffer> {
  if (inode.flags & FLAG.inlineData) {
    const tail = (await inodeXattrs(reader, sb, inode, true)).find((xattr) => xattr.name === 'system.data');
    const all = Buffer.concat([inode.block, tail?.value ?? Buffer.alloc(0)]);
    if (all.length < position + length) throw corrupt(`inode ${inode.number} has less inline data than its size`);
    return all.subarray(position, position + length);
  }
  const result = Buffer.alloc(length);
  const first = Math.floor(position / sb.blockSize);
  const last = Math.floor((position + length - 1) / sb.blockSize);
  for (const run of await fileRuns(reader, sb, inode, first, last)) {
    if (run.physical === 0) continue;
    if (run.physical + run.count > sb.blockCount) throw corrupt(`inode ${inode.number} has a block outside`);
    const start = Math.max(position, run.logical * sb.blockSize);
    const end = Math.min(position + length, (run.logical + run.count) * sb.blockSize);
    if (end <= start) continue;
    const from = run.physical * sb.blockSize + (start - run.logical * sb.blockSize);
    result.set(await reader.read(from, end - start), start - position);
  }
  return result;
}

async function fileRuns(reader: RandomReader, sb: Ext4Superblock, inode: Inode, first: number, last: number) {
  const runs: Run[] = [];
  const budget = { nodes: MAX_NODES };
  if (inode.flags & FLAG.extents) await extentRuns(reader, sb, inode, inode.block, -1, first, last, runs, budget);
  else await mappedRuns(reader, sb, inode, first, last, runs, budget);
  return runs;
}

interface Budget {
  nodes: number;
}

function spend(budget: Budget, inode: Inode): void {
  budget.nodes -= 1;
  if (budget.nodes < 0) throw corrupt(`inode ${inode.number} has a block map without end`);
}

/** ifork.rst, "Extent Tree": header 0xF30A, entries of 12 bytes. */
async function extentRuns(
  reader: RandomReader, sb: Ext4Superblock, inode: Inode, node: Buffer, depthAbove: number,
  first: number, last: number, runs: Run[], budget: Budget,
): Promise<void> {
  spend(budget, inode);
  const count = node.readUInt16LE(2);
  const depth = node.readUInt16LE(6);
  const deeper = depthAbove < 0 ? depth <= 5 : depth === depthAbove - 1;
  if (node.readUInt16LE(0) !== 0xf30a || !deeper || 12 + 12 * count > node.length) {
    throw corrupt(`inode ${inode.number} has a bad extent header`);
  }
  for (let i = 0; i < count; i += 1) {
    const at = 12 + 12 * i;
    const logical = node.readUInt32LE(at);
    if (logical > last) break;
    if (depth === 0) {
      const length = node.readUInt16LE(at + 4);
      const unwritten = length > 32768;
      const blocks = unwritten ? length - 32768 : length;
      const physical = node.readUInt32LE(at + 8) + node.readUInt16LE(at + 6) * 2 ** 32;
      if (logical + blocks > first) runs.push({ logical, physical: unwritten ? 0 : physical, count: blocks });
      if (runs.length > MAX_NODES) throw corrupt(`inode ${inode.number} has too many extents`);
    } else {
      const next = i + 1 < count ? node.readUInt32LE(at + 12) : Infinity;
      if (next <= first) continue;
      const child = node.readUInt32LE(at + 4) + node.readUInt16LE(at + 8) * 2 ** 32;
      if (child === 0 || child >= sb.blockCount) throw corrupt(`inode ${inode.number} has an extent node outside`);
      const bytes = Buffer.from(await reader.read(child * sb.blockSize, sb.blockSize));
      await extentRuns(reader, sb, inode, bytes, depth, first, last, runs, budget);
    }
  }
} // prettier-ignore

/** ifork.rst, "Direct/Indirect Block Addressing": 12 direct, then one single, double and triple indirect block. */
async function mappedRuns(
  reader: RandomReader, sb: Ext4Superblock, inode: Inode,
  first: number, last: number, runs: Run[], budget: Budget,
): Promise<void> {
  const perBlock = sb.blockSize / 4;
  const add = (logical: number, physical: number) => {
    if (physical >= sb.blockCount) throw corrupt(`inode ${inode.number} has a block outside`);
    const before = runs.at(-1);
    if (before && physical !== 0 && before.physical + before.count === physical && before.logical + before.count === logical) {
      runs[runs.length - 1] = { ...before, count: before.count + 1 };
    } else if (physical !== 0) runs.push({ logical, physical, count: 1 });
  };
  const walk = async (block: number, level: number, logical: number): Promise<void> => {
    const span = perBlock ** level;
    if (block === 0 || logical > last || logical + span <= first) return;
    if (level === 0) return add(logical, block);
    spend(budget, inode);
    if (block >= sb.blockCount) throw corrupt(`inode ${inode.number} has an indirect block outside`);
    const table = Buffer.from(await reader.read(block * sb.blockSize, sb.blockSize));
    const step = span / perBlock;
    for (let i = Math.max(0, Math.floor((first - logical) / step)); i < perBlock && logical + i * step <= last; i += 1) {
      await walk(table.readUInt32LE(4 * i), level - 1, logical + i * step);
    }
  };
  for (let i = 0; i < 12; i += 1) await walk(inode.block.readUInt32LE(4 * i), 0, i);
  let logical = 12;
  for (const level of [1, 2, 3]) {
    await walk(inode.block.readUInt32LE(4 * (11 + level)), level, logical);
    logical += perBlock ** level;
  }
} // prettier-ignore

const XATTR_PREFIX: Readonly<Record<number, string>> = {
  0: '', 1: 'user.', 2: 'system.posix_acl_access', 3: 'system.posix_acl_default', 4: 'trusted.', 6: 'security.', 7: 'system.', 8: 'system.richacl',
}; // prettier-ignore
const XATTR_MAGIC = 0xea020000;

/** Extended attributes of an inode (attributes.rst): those inside the inode, then those of its block. */
export async function inodeXattrs(
  reader: RandomReader,
  sb: Ext4Superblock,
  inode: Inode,
  inlineOnly = false,
): Promise<Xattr[]> {
  const found: Xattr[] = [];
  if (inode.extra.length >= 4 && inode.extra.readUInt32LE(0) === XATTR_MAGIC) {
    await parseXattrs(reader, sb, inode, inode.extra, 4, 4, found);
  }
  if (inode.aclBlock !== 0 && !inlineOnly) {
    if (inode.aclBlock >= sb.blockCount) throw corrupt(`inode ${inode.number} has attributes outside`);
    const block = Buffer.from(await reader.read(inode.aclBlock * sb.blockSize, sb.blockSize));
    if (block.readUInt32LE(0) !== XATTR_MAGIC) throw corrupt(`inode ${inode.number} has a bad attribute block`);
    await parseXattrs(reader, sb, inode, block, 32, 0, found);
  }
  return found;
}

async function parseXattrs(
  reader: RandomReader, sb: Ext4Superblock, inode: Inode, bytes: Buffer,
  start: number, base: number, found: Xattr[],
): Promise<void> {
  const bad = () => corrupt(`inode ${inode.number} has bad extended attributes`);
  for (let at = start; at + 4 <= bytes.length && bytes.readUInt32LE(at) !== 0; ) {
    if (at + 16 > bytes.length) throw bad();
    const nameLength = bytes[at]!;
    const prefix = XATTR_PREFIX[bytes[at + 1]!];
    const valueInode = bytes.readUInt32LE(at + 4);
    const size = bytes.readUInt32LE(at + 8);
    const offset = base + bytes.readUInt16LE(at + 2);
    if (prefix === undefined || at + 16 + nameLength > bytes.length || size > 65536) throw bad();
    if (valueInode === 0 && offset + size > bytes.length) throw bad();
    const name = prefix + bytes.toString('latin1', at + 16, at + 16 + nameLength);
    let value = bytes.subarray(offset, offset + size);
    if (valueInode !== 0) {
      const other = await readInode(reader, sb, valueInode);
      if (other.size < size) throw bad();
      value = await readInodeBytes(reader, sb, other, 0, size);
    }
    found.push({ name, value: Uint8Array.from(value) });
    at += (16 + nameLength + 3) & ~3;
  }
} // prettier-ignore
