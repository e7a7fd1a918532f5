import {
  UserError,
  type ByteRange,
  type ContentPieces,
  type ContentRun,
  type ContentSource,
  type RandomWriter,
  type Tree,
} from '@boxship/model';
import type { BranchTables } from './branch-tables.ts';
import { contentPieces } from './content-pieces.ts';
import { placeContents } from './content-placements.ts';
import { contentRun } from './content-run.ts';
import { openContentWriter, type ContentWriter } from './content-writer.ts';
import { CRC_START, crc32c } from './crc32c.ts';
import { planDirectories } from './directory-plan.ts';
import { fit, type Ext4Size } from './fit.ts';
import { BLOCK_SIZE, inodeCapacity } from './geometry.ts';
import { mappedRanges, writeMetadata } from './metadata-writer.ts';
import { contentBlocks, gatherContents } from './placement.ts';
import { readTree } from './tree-reader.ts';
import { lastInode, type Volume } from './volume.ts';

export interface Ext4Options {
  /** UUID of the file system. */
  readonly uuid: string;
  /** Seed of the directory hash, written as a UUID. */
  readonly hashSeed: string;
  /** At most 16 bytes of UTF-8. */
  readonly label: string;
  /** Seconds since 1970: when the file system was made, and the times of what no entry gives. */
  readonly epoch: number;
  readonly size: Ext4Size;
  /** The file system can grow to so many times its size while it is mounted. Default: 64. */
  readonly growthFactor?: number;
  /** Bytes of the journal; 0 for none. Default: as mke2fs, by the size of the file system. */
  readonly journal?: { readonly size: number };
  /**
   * Inodes that at least stay free for the device; never fewer than one for each 16 KiB of free space. Default: 0.
   * A group that is added later gets as many inodes as the groups have now: for a file system that is smaller than a
   * group (128 MiB) and will grow, ask for 8192, so that it keeps that proportion.
   */
  readonly freeInodes?: number;
  /** What was laid out of branches that other file systems hold: is used here, and added to. */
  readonly branches?: BranchTables | undefined;
}

/** A file system whose every block has its place; nothing is written yet. */
export interface Ext4Plan {
  readonly sizeBytes: number;
  /** Blocks of files, directories, long symlinks and attributes. `used + free + overhead = size`. */
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** Blocks of the file system itself: superblocks, bitmaps, inode tables, journal, room to grow. */
  readonly overheadBytes: number;
  /** Inodes that there are, and those in use. */
  readonly inodeCount: number;
  readonly usedInodes: number;
  /** What a flasher must write, zeros included, ascending and apart; all else may hold anything. */
  readonly mapped: readonly ByteRange[];
  /** The sources whose bytes are needed, each once, in the order in which the tree names them. */
  sources(): readonly ContentSource[];
  /** Writes all but the bytes of regular files. What is not written must read as zeros. */
  writeMetadata(target: RandomWriter): Promise<void>;
  /** Spreads the stream of one source over its places. Writers of several sources may work at the same time. */
  contentWriter(source: ContentSource, target: RandomWriter): ContentWriter;
  /** The same places, for a source that scatters its bytes itself. */
  contentPieces(source: ContentSource): ContentPieces;
  /** The run that the pieces of a source are; undefined when they are none. */
  contentRun(source: ContentSource): ContentRun | undefined;
}

/**
 * Lays out an ext4 file system that holds `tree`. Equal trees and options give equal bytes. Errors: BAD_TREE, BAD_XATTR,
 * XATTR_TOO_LARGE, NAME_TOO_LONG, SYMLINK_TOO_LONG, TOO_MANY_LINKS, DIRECTORY_TOO_LARGE, STORE_FULL, BAD_EXT4_OPTION.
 */
export function planExt4(tree: Tree, options: Ext4Options): Ext4Plan {
  const uuid = parseUuid('uuid', options.uuid);
  const hashSeed = parseUuid('hashSeed', options.hashSeed);
  const hashWords = new Uint32Array(4);
  hashWords.forEach((_, word) => (hashWords[word] = new DataView(hashSeed.buffer).getUint32(word * 4, true)));
  const label = Buffer.from(options.label);
  if (label.length > 16) throw badOption(`label "${options.label}" has ${label.length} bytes, ext4 keeps 16`);
  const { epoch, growthFactor = 64, freeInodes = 0, size } = options;
  if (!Number.isInteger(epoch) || epoch < 0 || epoch >= 2 ** 32) throw badOption(`epoch ${epoch} is not in 32 bits`);
  const { reserveFraction = 0 } = size;
  if (!(reserveFraction >= 0 && reserveFraction < 1)) {
    throw badOption(`reserveFraction ${reserveFraction} is not from 0 to below 1`);
  }
  if ('exact' in size && !(size.exact >= 0 && size.exact < Infinity)) throw badOption(`size ${size.exact} is no size`);
  if ('auto' in size && !((size.step ?? 1) > 0)) throw badOption(`step ${size.step} is no size`);
  if (!(growthFactor >= 1)) throw badOption(`growthFactor ${growthFactor} is below 1`);
  const journalBlocks = options.journal && Math.ceil(options.journal.size / BLOCK_SIZE);
  if (journalBlocks !== undefined && journalBlocks !== 0 && journalBlocks < MIN_JOURNAL_BLOCKS) {
    throw badOption(`a journal of ${journalBlocks * BLOCK_SIZE} bytes is too small, ${MIN_JOURNAL_BLOCKS * BLOCK_SIZE} is the least`); // prettier-ignore
  }

  const table = readTree(tree, { epoch, branches: options.branches });
  const contents = gatherContents(table, planDirectories(table, hashWords));
  const last = lastInode(contents);
  const placement = fit(contents, size, {
    usedInodes: last,
    freeInodes,
    contentBlocks: contentBlocks(contents),
    growthFactor,
    ...(journalBlocks === undefined ? {} : { journalBlocks }),
  });
  const checksumSeed = crc32c(CRC_START, uuid);
  const volume: Volume = { contents, placement, uuid, hashSeed, hashWords, label, epoch, checksumSeed };
  const { geometry, free } = placement.layout;
  const placements = placeContents(table);
  const runs = new Map<string, ContentRun | undefined>();
  const runOf = (source: ContentSource) => {
    if (!runs.has(source.id)) runs.set(source.id, contentRun(source, placements, free, placement.data));
    return runs.get(source.id);
  };
  return {
    sizeBytes: geometry.blocks * BLOCK_SIZE,
    usedBytes: (placement.end - placement.directories) * BLOCK_SIZE,
    freeBytes: (free.total - placement.end) * BLOCK_SIZE,
    overheadBytes: (geometry.blocks - free.total + placement.directories) * BLOCK_SIZE,
    inodeCount: inodeCapacity(geometry),
    usedInodes: last,
    mapped: mappedRanges(volume),
    sources: () => placements.sources,
    writeMetadata: (target) => writeMetadata(volume, target),
    contentWriter: (source, target) => openContentWriter(source, placements, free, placement.data, target),
    contentPieces: (source) => contentPieces(source, placements, free, placement.data, runOf(source)),
    contentRun: runOf,
  };
}

/** Writes a whole file system: metadata, then every source in turn. `onBytes` hears of each chunk of a source. */
export async function writeExt4(
  plan: Ext4Plan,
  target: RandomWriter,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  await plan.writeMetadata(target);
  for (const source of plan.sources()) {
    const writer = plan.contentWriter(source, target);
    for await (const chunk of source.open()) {
      await writer.write(chunk);
      onBytes(chunk.length);
    }
    await writer.end();
  }
}

/** jbd2 `JBD2_MIN_JOURNAL_BLOCKS` */
const MIN_JOURNAL_BLOCKS = 1024;

function parseUuid(name: string, text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw badOption(`${name} "${text}" is not a UUID`);
  return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'));
}

function badOption(message: string): UserError {
  return new UserError('BAD_EXT4_OPTION', message);
}
