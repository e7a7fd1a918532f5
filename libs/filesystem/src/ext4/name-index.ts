import type { ByteArena } from './byte-arena.ts';
import { HashTable, hashBytes, hashText } from './byte-arena.ts';
import { uint32Column, uint8Column } from './column.ts';
import { JoinedColumn } from './joined-column.ts';

/** The names of all directories, each found by its directory and its bytes. A row stands for a name. */
export class NameIndex {
  /** Row of the directory that holds the name, and row of the inode that it names. */
  readonly directory = new JoinedColumn(uint32Column());
  readonly inode = new JoinedColumn(uint32Column());
  readonly address = new JoinedColumn(uint32Column());
  readonly length = new JoinedColumn(uint8Column());
  readonly text: ByteArena;
  #table: HashTable;

  /** `expected`: about how many names will be added. */
  constructor(text: ByteArena, expected: number) {
    this.text = text;
    this.#table = this.#makeTable(expected);
  }

  get count(): number {
    return this.length.length;
  }

  /** Inode of a name, or -1. */
  find(directory: number, name: string): number {
    const row = this.#findRow(hashText(directory, name), directory, name);
    return row < 0 ? -1 : this.inode.get(row);
  }

  /** Adds a name; false when the directory holds it already. */
  add(directory: number, name: string, inode: number): boolean {
    const hash = hashText(directory, name);
    if (this.#findRow(hash, directory, name) >= 0) return false;
    this.directory.push(directory);
    this.inode.push(inode);
    this.address.push(this.text.addText(name));
    this.#table.add(hash, this.length.push(name.length));
    return true;
  }

  /** Takes in the names of another table, which are not found here: the numbers are what its rows have to be more. */
  join(names: NameIndex, directories: number, inodes: number, text: number): void {
    this.directory.join(names.directory, directories);
    this.inode.join(names.inode, inodes);
    this.address.join(names.address, text);
    this.length.join(names.length);
  }

  /** Gives back the memory of the search; nothing is found from then on. */
  close(): void {
    this.#table = this.#makeTable(0);
  }

  #findRow(hash: number, directory: number, name: string): number {
    for (let slot = this.#table.first(hash); ; slot = this.#table.next(slot)) {
      const row = this.#table.at(slot);
      if (row < 0 || this.#matches(row, directory, name)) return row;
    }
  }

  #matches(row: number, directory: number, name: string): boolean {
    if (this.length.get(row) !== name.length || this.directory.get(row) !== directory) return false;
    const address = this.address.get(row);
    const bytes = this.text.chunk(address);
    const start = this.text.within(address);
    for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name.charCodeAt(at)) return false;
    return true;
  }

  #makeTable(expected: number): HashTable {
    return new HashTable((row) => {
      const address = this.address.get(row);
      const start = this.text.within(address);
      return hashBytes(this.directory.get(row), this.text.chunk(address), start, start + this.length.get(row));
    }, expected);
  }
}
