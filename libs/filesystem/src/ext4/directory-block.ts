import { BLOCK_SIZE } from './geometry.ts';
import { crc32c } from './crc32c.ts';

/** `ext4_dir_entry_tail`: an entry without a name at the end of each block, which holds its checksum (directory.rst). */
const TAIL = 12;
const TAIL_FILE_TYPE = 0xde;

/** Room for entries in a block. */
export const DIRECTORY_BLOCK_ROOM = BLOCK_SIZE - TAIL;

/** `.` and `..` at the start of a directory: 12 bytes each. */
export const DOT_ENTRIES = 2 * 12;

const DIRECTORY = 2;

/** `rec_len` of a name: 8 bytes before it, a multiple of 4. */
export function entryLength(nameLength: number): number {
  return (8 + nameLength + 3) & ~3;
}

/** One block of `ext4_dir_entry_2`; filled, sealed and used again. */
export class DirectoryBlock {
  readonly bytes = new Uint8Array(BLOCK_SIZE);
  readonly #view = new DataView(this.bytes.buffer);
  #end = 0;
  #last = 0;

  clear(): void {
    this.bytes.fill(0);
    this.#end = 0;
    this.#last = 0;
  }

  addDots(inode: number, parent: number): void {
    this.add(inode, DIRECTORY, DOTS, 0, 1);
    this.add(parent, DIRECTORY, DOTS, 0, 2);
  }

  /** Appends an entry; its name is `names[start, start + length)`. */
  add(inode: number, fileType: number, names: Uint8Array, start: number, length: number): void {
    const at = this.#end;
    this.#view.setUint32(at, inode, true);
    this.#view.setUint16(at + 4, entryLength(length), true);
    this.bytes[at + 6] = length;
    this.bytes[at + 7] = fileType;
    for (let byte = 0; byte < length; byte++) this.bytes[at + 8 + byte] = names[start + byte]!;
    this.#last = at;
    this.#end = at + entryLength(length);
  }

  /** Stretches the last entry to the end of the room (an empty block gets an unused one) and adds the tail. */
  seal(inodeSeed: number): void {
    this.#view.setUint16(this.#last + 4, DIRECTORY_BLOCK_ROOM - this.#last, true);
    this.#view.setUint16(DIRECTORY_BLOCK_ROOM + 4, TAIL, true);
    this.bytes[DIRECTORY_BLOCK_ROOM + 7] = TAIL_FILE_TYPE;
    this.#view.setUint32(DIRECTORY_BLOCK_ROOM + 8, crc32c(inodeSeed, this.bytes, 0, DIRECTORY_BLOCK_ROOM), true);
  }
}

const DOTS = Uint8Array.of(0x2e, 0x2e);
