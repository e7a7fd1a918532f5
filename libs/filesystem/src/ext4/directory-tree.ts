import { BLOCK_SIZE } from './geometry.ts';
import { crc32c } from './crc32c.ts';
import { DIRECTORY_BLOCK_ROOM, entryLength } from './directory-block.ts';
import { DX_HASH_HALF_MD4 } from './directory-hash.ts';

/** Bytes of `struct dx_entry` and of `struct dx_tail` (directory.rst "Hash Tree Directories"). */
const DX_ENTRY = 8;
const DX_TAIL = 8;

/** Offset of the entries in `dx_root`: `.` and `..` 12 bytes each, `dx_root_info` 8; in `dx_node`: one unused entry. */
const ROOT_ENTRIES_AT = 12 + 12 + 8;
const NODE_ENTRIES_AT = 8;

/** Entries of the root, 507, and of a node below it, 510; the first one has no hash: its place holds limit and count. */
const ROOT_LIMIT = (BLOCK_SIZE - ROOT_ENTRIES_AT - DX_TAIL) / DX_ENTRY;
const NODE_LIMIT = (BLOCK_SIZE - NODE_ENTRIES_AT - DX_TAIL) / DX_ENTRY;

/** Leaves that a tree of two levels holds; three need the feature large_dir, which many kernels and boot loaders lack. */
export const MAX_LEAVES = ROOT_LIMIT * NODE_LIMIT;

/** Cuts `count` names, in the order of their hashes, into leaves: position of the first name of each. */
export function cutLeaves(count: number, nameLength: (position: number) => number): number[] {
  const firsts: number[] = [];
  let room = 0;
  for (let position = 0; position < count; position++) {
    const length = entryLength(nameLength(position));
    if (length > room) {
      firsts.push(position);
      room = DIRECTORY_BLOCK_ROOM;
    }
    room -= length;
  }
  return firsts;
}

/** Blocks of index nodes between the root and so many leaves. */
export function indexNodes(leaves: number): number {
  return leaves <= ROOT_LIMIT ? 0 : Math.ceil(leaves / NODE_LIMIT);
}

/**
 * The root and the index nodes, in the order of their blocks: 0 is the root, then the nodes, then the leaves follow.
 * `hashes[n]` is the hash at which leaf n starts, its lowest bit set when the leaf before ends with the same hash.
 */
export function* encodeIndex(
  hashes: ArrayLike<number>,
  inode: number,
  parent: number,
  inodeSeed: number,
): Generator<Uint8Array> {
  const nodes = indexNodes(hashes.length);
  const firstLeaf = 1 + nodes;
  const root = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(root.buffer);
  view.setUint32(0, inode, true);
  view.setUint16(4, 12, true);
  root.set([1, 2, 0x2e], 6); // name_len, file_type directory, "."
  view.setUint32(12, parent, true);
  view.setUint16(16, BLOCK_SIZE - 12, true);
  root.set([2, 2, 0x2e, 0x2e], 18);
  root[28] = DX_HASH_HALF_MD4;
  root[29] = 8; // info_length
  root[30] = nodes === 0 ? 0 : 1; // indirect_levels
  if (nodes === 0) {
    writeEntries(root, ROOT_ENTRIES_AT, ROOT_LIMIT, hashes, 0, hashes.length, 1, firstLeaf, inodeSeed);
    yield root;
    return;
  }
  writeEntries(root, ROOT_ENTRIES_AT, ROOT_LIMIT, hashes, 0, hashes.length, NODE_LIMIT, 1, inodeSeed);
  yield root;
  for (let from = 0; from < hashes.length; from += NODE_LIMIT) {
    const node = new Uint8Array(BLOCK_SIZE);
    new DataView(node.buffer).setUint16(4, BLOCK_SIZE, true); // an unused entry that fills the block
    const to = Math.min(hashes.length, from + NODE_LIMIT);
    writeEntries(node, NODE_ENTRIES_AT, NODE_LIMIT, hashes, from, to, 1, firstLeaf + from, inodeSeed);
    yield node;
  }
}

/** `dx_countlimit`, an entry for each `step`-th of `hashes[from, to)`, and the checksum (fs/ext4/namei.c `ext4_dx_csum`). */
function writeEntries(
  bytes: Uint8Array,
  start: number,
  limit: number,
  hashes: ArrayLike<number>,
  from: number,
  to: number,
  step: number,
  firstBlock: number,
  inodeSeed: number,
): void {
  const view = new DataView(bytes.buffer);
  let count = 0;
  for (let index = from; index < to; index += step, count++) {
    const at = start + count * DX_ENTRY;
    if (count > 0) view.setUint32(at, hashes[index]!, true);
    view.setUint32(at + 4, firstBlock + count, true);
  }
  view.setUint16(start, limit, true);
  view.setUint16(start + 2, count, true);
  const tail = start + limit * DX_ENTRY;
  // the used entries, then the tail with a checksum of 0
  const used = crc32c(inodeSeed, bytes, 0, start + count * DX_ENTRY);
  view.setUint32(tail + 4, crc32c(used, bytes, tail, tail + DX_TAIL), true);
}
