import { DirectoryBlock } from './directory-block.ts';
import { directoryHash } from './directory-hash.ts';
import { cutLeaves, encodeIndex } from './directory-tree.ts';
import { DIRECTORY_FILE_TYPES } from './file-mode.ts';
import { BLOCK_SIZE } from './geometry.ts';
import { inodeSeed } from './inode.ts';
import { inodeNumber, type Volume } from './volume.ts';
import type { WriteBuffer } from './write-buffer.ts';

/** Writes the blocks of all directories. */
export async function writeDirectories(volume: Volume, out: WriteBuffer): Promise<void> {
  const { contents, placement } = volume;
  const cursor = placement.layout.free.cursor();
  const count = contents.table.directories.inode.length;
  let spaceBlock = placement.directories;
  const encoder = directoryEncoder(volume);
  for (let directory = 0; directory < count; directory++) {
    for (const block of encoder(directory)) {
      const wait = out.add(cursor.locate(spaceBlock++) * BLOCK_SIZE, block, 0, BLOCK_SIZE);
      if (wait) await wait;
    }
  }
}

/** Gives the blocks of a directory, each valid until the next one is asked for. */
function directoryEncoder({ contents, checksumSeed, hashWords }: Volume): (directory: number) => Iterable<Uint8Array> {
  const { table, directories } = contents;
  const { names, inodes, text } = table;
  const { order, starts, blocks } = directories;
  const block = new DirectoryBlock();

  const addNames = (from: number, to: number) => {
    for (let position = from; position < to; position++) {
      const row = order[position]!;
      const inode = names.inode.get(row);
      const address = names.address.get(row);
      const type = DIRECTORY_FILE_TYPES[inodes.mode.get(inode) >>> 12]!;
      block.add(inodeNumber(inode), type, text.chunk(address), text.within(address), names.length.get(row));
    }
  };
  const hashAt = (position: number): number => {
    const row = order[position]!;
    const address = names.address.get(row);
    return directoryHash(hashWords, text.chunk(address), text.within(address), names.length.get(row));
  };

  return function* (directory) {
    const row = table.directories.inode.get(directory);
    const number = inodeNumber(row);
    const parent = inodeNumber(table.directories.inode.get(table.directories.parent.get(directory)));
    const seed = inodeSeed(checksumSeed, number);
    const start = starts[directory]!;
    const end = starts[directory + 1]!;
    if (directories.isHashed(directory)) {
      const leaves = cutLeaves(end - start, (position) => names.length.get(order[start + position]!));
      const hashes = leaves.map((first) => {
        const hash = hashAt(start + first);
        // the lowest bit tells a search to go on here from the leaf before (fs/ext4/namei.c `ext4_htree_next_block`)
        return first > 0 && hashAt(start + first - 1) === hash ? hash + 1 : hash;
      });
      yield* encodeIndex(hashes, number, parent, seed);
      for (const [leaf, first] of leaves.entries()) {
        block.clear();
        addNames(start + first, start + (leaves[leaf + 1] ?? end - start));
        block.seal(seed);
        yield block.bytes;
      }
      return;
    }
    block.clear();
    block.addDots(number, parent);
    addNames(start, end);
    block.seal(seed);
    yield block.bytes;
    for (let empty = blocks[directory + 1]! - blocks[directory]! - 1; empty > 0; empty--) {
      block.clear();
      block.seal(seed);
      yield block.bytes;
    }
  };
}
