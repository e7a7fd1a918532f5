import { ByteInterner } from './byte-arena.ts';
import { uint32Column } from './column.ts';
import type { EncodedXattrs } from './xattr.ts';

/** Pairs of user and group; row 0 is root's. Few of them own many files. */
export class Owners {
  readonly #uids = uint32Column();
  readonly #gids = uint32Column();
  readonly #rows = new Map<number, Map<number, number>>();
  #last = 0;

  constructor() {
    this.intern(0, 0);
  }

  intern(uid: number, gid: number): number {
    if (this.#uids.length > 0 && this.uid(this.#last) === uid && this.gid(this.#last) === gid) return this.#last;
    let groups = this.#rows.get(uid);
    if (!groups) this.#rows.set(uid, (groups = new Map()));
    let row = groups.get(gid);
    if (row === undefined) {
      this.#uids.push(uid);
      row = this.#gids.push(gid);
      groups.set(gid, row);
    }
    this.#last = row;
    return row;
  }

  get count(): number {
    return this.#uids.length;
  }

  uid(row: number): number {
    return this.#uids.get(row);
  }

  gid(row: number): number {
    return this.#gids.get(row);
  }
}

/** Sets of extended attributes; row 0 is the empty one. Equal sets share a row, and those in blocks share blocks. */
export class XattrSets {
  readonly #inline = new ByteInterner();
  readonly #blocks = new ByteInterner();
  /** Numbers + 1 of the two parts of a set, and the set of a pair of them. */
  readonly #inlineOf = uint32Column();
  readonly #blockOf = uint32Column();
  readonly #sets = new ByteInterner();

  constructor() {
    this.intern({});
  }

  /** Blocks that differ. */
  get blockCount(): number {
    return this.#blocks.count;
  }

  intern({ inline, block }: EncodedXattrs): number {
    const parts = Uint32Array.of(
      inline ? this.#inline.intern(inline) + 1 : 0,
      block ? this.#blocks.intern(block) + 1 : 0,
    );
    const before = this.#sets.count;
    const row = this.#sets.intern(new Uint8Array(parts.buffer));
    if (row === before) {
      this.#inlineOf.push(parts[0]!);
      this.#blockOf.push(parts[1]!);
    }
    return row;
  }

  get count(): number {
    return this.#inlineOf.length;
  }

  set(row: number): EncodedXattrs {
    const [inline, block] = [this.inline(row), this.block(row)];
    return { ...(inline ? { inline } : {}), ...(block < 0 ? {} : { block: this.blockBytes(block) }) };
  }

  /** What lies in the inode, if anything. */
  inline(row: number): Uint8Array | undefined {
    const part = this.#inlineOf.get(row);
    return part === 0 ? undefined : this.#inline.bytes(part - 1);
  }

  /** Number of the block, or -1. */
  block(row: number): number {
    return this.#blockOf.get(row) - 1;
  }

  blockBytes(block: number): Uint8Array {
    return this.#blocks.bytes(block);
  }
}
