import { UserError } from '@boxship/model';
import { DIRECTORY_BLOCK_ROOM, DOT_ENTRIES, entryLength } from './directory-block.ts';
import { directoryHash, type HashSeed } from './directory-hash.ts';
import { MAX_LEAVES, cutLeaves, indexNodes } from './directory-tree.ts';
import { LOST_FOUND_ROW, type TreeTable } from './tree-table.ts';

/** Names in one directory: a 31-bit hash and a position of 22 bits fill the 53 bits of a number. */
const MAX_NAMES = 2 ** 22;

/** Blocks of lost+found from the start: e2fsck must not need to allocate (mke2fs makes it 16 KiB). */
const LOST_FOUND_BLOCKS = 4;

/** The names of each directory, in the order in which they are written, and the blocks they take. */
export interface DirectoryPlan {
  /** Rows of names; those of directory d are `order[starts[d], starts[d + 1])`. */
  readonly order: Uint32Array;
  readonly starts: Uint32Array;
  /** First block of each directory, counted from the first directory block; one more element ends the last. */
  readonly blocks: Uint32Array;
  /** True for a directory with a hash tree: it has more names than one block holds. */
  isHashed(directory: number): boolean;
}

/** Errors: DIRECTORY_TOO_LARGE, beyond about four million names. */
export function planDirectories({ names, directories, text }: TreeTable, seed: HashSeed): DirectoryPlan {
  const count = directories.inode.length;
  const starts = new Uint32Array(count + 1);
  for (let directory = 0; directory < count; directory++) {
    starts[directory + 1] = starts[directory]! + directories.children.get(directory);
  }
  const order = new Uint32Array(names.count);
  const next = starts.slice(0, count);
  for (let row = 0; row < order.length; row++) order[next[names.directory.get(row)]!++] = row;

  const blocks = new Uint32Array(count + 1);
  const hashed = new Set<number>();
  for (let directory = 0; directory < count; directory++) {
    const rows = order.subarray(starts[directory]!, starts[directory + 1]!);
    let size = DOT_ENTRIES;
    for (const row of rows) size += entryLength(names.length.get(row));
    let needed = directory === LOST_FOUND_ROW ? LOST_FOUND_BLOCKS : 1;
    if (size > DIRECTORY_BLOCK_ROOM) {
      hashed.add(directory);
      if (rows.length <= MAX_NAMES) sortByHash(rows);
      const leaves = cutLeaves(rows.length, (position) => names.length.get(rows[position]!)).length;
      if (rows.length > MAX_NAMES || leaves > MAX_LEAVES) throw directoryTooLarge(rows.length);
      needed = 1 + indexNodes(leaves) + leaves;
    }
    blocks[directory + 1] = blocks[directory]! + needed;
  }
  return { order, starts, blocks, isHashed: (directory) => hashed.has(directory) };

  function sortByHash(rows: Uint32Array): void {
    const keys = new Float64Array(rows.length);
    for (let position = 0; position < rows.length; position++) {
      const address = names.address.get(rows[position]!);
      const hash = directoryHash(seed, text.chunk(address), text.within(address), names.length.get(rows[position]!));
      keys[position] = (hash / 2) * MAX_NAMES + position;
    }
    keys.sort();
    const before = rows.slice();
    for (let position = 0; position < rows.length; position++) rows[position] = before[keys[position]! % MAX_NAMES]!;
  }
}

function directoryTooLarge(names: number): UserError {
  return new UserError(
    'DIRECTORY_TOO_LARGE',
    `a directory has ${names} names, which is more than an ext4 hash tree of two levels holds`,
    'Spread the files over several directories.',
  );
}
