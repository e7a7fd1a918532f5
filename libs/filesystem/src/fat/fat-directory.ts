import { UserError } from '@boxship/model';

/** Bytes of a directory entry. */
export const ENTRY = 32;
const LONG_NAME = 0x0f;
const LONG_PART = 13; // UTF-16 units in one entry

export interface FatName {
  readonly long: string;
}

interface Entry {
  readonly name: FatName;
  readonly first: number;
  readonly size: number;
  readonly isFolder: boolean;
}

interface Folder {
  readonly epoch: number;
  /** Of the root. */
  readonly label?: string;
  /** Of others: their own cluster and that of the folder they are in. */
  readonly self?: number;
  readonly parent?: number;
}

/** Entries that names need, and `extra` ones: the label of a root, `.` and `..` of others. */
export function directoryEntryCount(names: readonly { readonly name: string }[], extra: number): number {
  return names.reduce((sum, { name }) => sum + 1 + longEntryCount(name), extra);
}

function longEntryCount(name: string): number {
  return isShort(name) ? 0 : Math.ceil(name.length / LONG_PART);
}

/** Upper case, 8 and 3 characters: no long name is needed. */
function isShort(name: string): boolean {
  return /^[A-Z0-9_\-~!#$%&'()@^`{}]{1,8}(\.[A-Z0-9_\-~!#$%&'()@^`{}]{1,3})?$/.test(name);
}

/** The bytes of a folder. Errors: FAT_BAD_NAME, also for two names that differ in case alone. */
export function directoryBytes(entries: readonly Entry[], folder: Folder): Buffer {
  const out: Buffer[] = [];
  const stamp = timeOf(folder.epoch);
  const short = (name: string, attributes: number, first: number, size: number) => {
    const entry = Buffer.alloc(ENTRY);
    entry.write(name, 0, 11, 'latin1');
    entry[11] = attributes;
    entry.writeUInt16LE(stamp.time, 14);
    entry.writeUInt16LE(stamp.date, 16);
    entry.writeUInt16LE(stamp.date, 18);
    entry.writeUInt16LE(first >>> 16, 20);
    entry.writeUInt16LE(stamp.time, 22);
    entry.writeUInt16LE(stamp.date, 24);
    entry.writeUInt16LE(first & 0xffff, 26);
    entry.writeUInt32LE(size, 28);
    return entry;
  };
  if (folder.label) out.push(short(folder.label.toUpperCase().padEnd(11), 0x08, 0, 0));
  if (folder.self !== undefined) {
    out.push(short('.'.padEnd(11), 0x10, folder.self, 0), short('..'.padEnd(11), 0x10, folder.parent ?? 0, 0));
  }
  const taken = new Set<string>();
  const seen = new Set<string>();
  for (const { name: { long }, first, size, isFolder } of entries) {
    refuseName(long, seen);
    const alias = isShort(long) ? plainAlias(long) : numberedAlias(long, taken);
    taken.add(alias);
    if (!isShort(long)) out.push(...longEntries(long, alias));
    out.push(short(alias, isFolder ? 0x10 : 0x20, first, size));
  } // prettier-ignore
  return Buffer.concat(out);
}

function refuseName(name: string, seen: Set<string>): void {
  const folded = name.toLowerCase();
  const fault = (what: string) =>
    new UserError('FAT_BAD_NAME', `${JSON.stringify(name)} ${what}`, 'Give the file another name.');
  // eslint-disable-next-line no-control-regex
  if (name === '' || /[\0-\x1f"*/:<>?\\|\x7f]/.test(name) || /[. ]$/.test(name))
    throw fault('is no name for a FAT file system');
  if (name.length > 255) throw fault('is longer than 255 characters');
  if (seen.has(folded)) throw fault('differs from another name in case alone, which FAT does not keep apart');
  seen.add(folded);
}

function plainAlias(name: string): string {
  const [base = '', extension = ''] = name.split('.');
  return base.padEnd(8) + extension.padEnd(3);
}

/** `NAME~1  EXT`: the first number that is free. */
function numberedAlias(name: string, taken: ReadonlySet<string>): string {
  const clean = (text: string) => text.toUpperCase().replace(/[^A-Z0-9_\-~!#$%&'()@^`{}]/g, '_').replace(/[ .]/g, ''); // prettier-ignore
  const dot = name.lastIndexOf('.');
  const base = clean((dot > 0 ? name.slice(0, dot) : name).replace(/[ .]/g, '')) || '_';
  const extension = dot > 0 ? clean(name.slice(dot + 1)).slice(0, 3) : '';
  for (let number = 1; ; number++) {
    const tail = `~${number}`;
    const alias = (base.slice(0, 8 - tail.length) + tail).padEnd(8) + extension.padEnd(3);
    if (!taken.has(alias)) return alias;
  }
}

/** The last part comes first; each has the checksum of the alias. */
function longEntries(name: string, alias: string): Buffer[] {
  let checksum = 0;
  for (const byte of Buffer.from(alias, 'latin1')) checksum = (((checksum & 1) << 7) + (checksum >> 1) + byte) & 0xff;
  const count = longEntryCount(name);
  return Array.from({ length: count }, (_, index) => {
    const order = count - index;
    const entry = Buffer.alloc(ENTRY);
    entry[0] = order | (index === 0 ? 0x40 : 0);
    entry[11] = LONG_NAME;
    entry[13] = checksum;
    const part = name.slice((order - 1) * LONG_PART, order * LONG_PART);
    const units = Array.from({ length: LONG_PART }, (_unused, unit) =>
      unit < part.length ? part.charCodeAt(unit) : unit === part.length ? 0 : 0xffff,
    );
    const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    units.forEach((value, unit) => entry.writeUInt16LE(value, places[unit]!));
    return entry;
  });
}

/** UTC; FAT begins in 1980 and counts two seconds. */
function timeOf(epoch: number): { readonly date: number; readonly time: number } {
  const when = new Date(Math.max(epoch, 315532800) * 1000);
  return {
    date: ((when.getUTCFullYear() - 1980) << 9) | ((when.getUTCMonth() + 1) << 5) | when.getUTCDate(),
    time: (when.getUTCHours() << 11) | (when.getUTCMinutes() << 5) | (when.getUTCSeconds() >> 1),
  };
}
