import { UserError, type RandomReader } from '@boxship/model';
import {
  BRANCH_PAGE,
  BUCKET_FLAG,
  BUCKET_HEADER,
  ELEMENT,
  LEAF_PAGE,
  PAGE_HEADER,
  parseMeta,
  type Meta,
} from './page.ts';

/** A bucket of a database, read lazily: no page is read that is not asked for. */
export interface BoltBucket {
  /** Value of a key; undefined when there is none, or a bucket. Text keys are UTF-8. */
  get(key: string | Uint8Array): Promise<Uint8Array | undefined>;
  /** The bucket of that name; undefined when there is none. */
  bucket(key: string | Uint8Array): Promise<BoltBucket | undefined>;
  /** Every key in the order of its bytes, with its value or bucket. */
  entries(): AsyncIterable<{ readonly key: Buffer; readonly value: Uint8Array | BoltBucket }>;
}

/** A tree of more levels than this holds more keys than any disk: the file is damaged. */
const DEPTH_MAX = 32;
/** A page with its overflow: a value may have 2 GiB, but none that we ask for has more than this. */
const PAGE_MAX = 64 * 1024 * 1024;
/** bbolt takes the machine's page size, which Linux has from 4 to 64 KiB. */
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

/**
 * Opens a database that bbolt wrote and closed, or that a machine was switched off under: the newer of the two metas that
 * is whole decides, as for bbolt itself. Every page is checked for its place and bounds. Errors: BOLT_DAMAGED.
 */
export async function readBolt(file: RandomReader, name: string): Promise<BoltBucket> {
  const metas: (Meta & { readonly pageSize: number })[] = [];
  const first = await readMeta(file, 0);
  if (first) metas.push(first);
  for (const size of first ? [first.pageSize] : PAGE_SIZES) {
    const second = await readMeta(file, size);
    if (second && second.pageSize === size) metas.push(second);
  }
  const meta = metas.sort((a, b) => b.transaction - a.transaction)[0];
  if (!meta) throw damaged(name, 'it has no meta page that is whole');
  return treeBucket({ file, name, pageSize: meta.pageSize, end: meta.end }, meta.rootId);
}

interface Database {
  readonly file: RandomReader;
  readonly name: string;
  readonly pageSize: number;
  /** Page ids are below it. */
  readonly end: number;
}

interface Page {
  readonly bytes: Buffer;
  readonly isLeaf: boolean;
  readonly count: number;
}

async function readMeta(file: RandomReader, position: number) {
  if (position + PAGE_HEADER + 64 > file.size) return undefined;
  return parseMeta(Buffer.from(await file.read(position + PAGE_HEADER, 64)));
}

async function readPage({ file, name, pageSize, end }: Database, id: number): Promise<Page> {
  const start = id * pageSize;
  if (id < 2 || id >= end || start + pageSize > file.size) throw damaged(name, `it refers to page ${id} of ${end}`);
  const head = Buffer.from(await file.read(start, pageSize));
  const overflow = head.readUInt32LE(12);
  const length = (overflow + 1) * pageSize;
  if (head.readUInt32LE(0) !== id || length > PAGE_MAX || start + length > file.size) {
    throw damaged(name, `page ${id} is not what it should be`);
  }
  return parsePage(name, id, overflow === 0 ? head : Buffer.from(await file.read(start, length)));
}

function parsePage(name: string, id: number, bytes: Buffer): Page {
  const flags = bytes.readUInt16LE(8);
  const count = bytes.readUInt16LE(10);
  if ((flags !== LEAF_PAGE && flags !== BRANCH_PAGE) || PAGE_HEADER + count * ELEMENT > bytes.length) {
    throw damaged(name, `page ${id} is not what it should be`);
  }
  return { bytes, isLeaf: flags === LEAF_PAGE, count };
}

function slice(name: string, { bytes }: Page, start: number, length: number): Buffer {
  if (start + length > bytes.length) throw damaged(name, 'a key or value reaches beyond its page');
  return bytes.subarray(start, start + length);
}

interface LeafEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly isBucket: boolean;
}

/** page.go `leafPageElement`: flags, position from the element itself, lengths of key and value. */
function leafEntry(name: string, page: Page, at: number): LeafEntry {
  const element = PAGE_HEADER + at * ELEMENT;
  const position = element + page.bytes.readUInt32LE(element + 4);
  const keyLength = page.bytes.readUInt32LE(element + 8);
  return {
    key: slice(name, page, position, keyLength),
    value: slice(name, page, position + keyLength, page.bytes.readUInt32LE(element + 12)),
    isBucket: (page.bytes.readUInt32LE(element) & BUCKET_FLAG) !== 0,
  };
}

/** page.go `branchPageElement`: position from the element itself, length of the key, id of the page below. */
function branchEntry(name: string, page: Page, at: number): { readonly key: Buffer; readonly id: number } {
  const element = PAGE_HEADER + at * ELEMENT;
  const key = slice(name, page, element + page.bytes.readUInt32LE(element), page.bytes.readUInt32LE(element + 4));
  return { key, id: Number(page.bytes.readBigUInt64LE(element + 8)) };
}

function treeBucket(database: Database, root: number): BoltBucket {
  return pageBucket(database, () => readPage(database, root));
}

function pageBucket(database: Database, rootPage: () => Promise<Page>): BoltBucket {
  const { name } = database;
  const find = async (wanted: Buffer): Promise<LeafEntry | undefined> => {
    let page = await rootPage();
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (page.isLeaf) {
        for (let at = 0; at < page.count; at++) {
          const entry = leafEntry(name, page, at);
          if (entry.key.equals(wanted)) return entry;
        }
        return undefined;
      }
      let below: number | undefined;
      for (let at = 0; at < page.count; at++) {
        const { key, id } = branchEntry(name, page, at);
        if (below !== undefined && Buffer.compare(key, wanted) > 0) break;
        below = id;
      }
      if (below === undefined) return undefined;
      page = await readPage(database, below);
    }
    throw damaged(name, 'its pages go round in a circle');
  };
  const walk = async function* (page: Page, seen: Set<number>): AsyncGenerator<LeafEntry> {
    for (let at = 0; at < page.count; at++) {
      if (page.isLeaf) {
        yield leafEntry(name, page, at);
        continue;
      }
      const { id } = branchEntry(name, page, at);
      if (seen.has(id)) throw damaged(name, 'its pages go round in a circle');
      yield* walk(await readPage(database, id), seen.add(id));
    }
  };
  return {
    async get(key) {
      const entry = await find(Buffer.from(key as string));
      return entry && !entry.isBucket ? entry.value : undefined;
    },
    async bucket(key) {
      const entry = await find(Buffer.from(key as string));
      return entry?.isBucket ? openBucket(database, entry.value) : undefined;
    },
    async *entries() {
      for await (const { key, value, isBucket } of walk(await rootPage(), new Set())) {
        yield { key, value: isBucket ? openBucket(database, value) : value };
      }
    },
  };
}

/** bucket.go `InBucket`: the id of its root page, or 0 and the page itself behind the header. */
function openBucket(database: Database, value: Buffer): BoltBucket {
  if (value.length < BUCKET_HEADER) throw damaged(database.name, 'a bucket has no header');
  const root = Number(value.readBigUInt64LE(0));
  if (root !== 0) return treeBucket(database, root);
  const inline = value.subarray(BUCKET_HEADER);
  if (inline.length < PAGE_HEADER) throw damaged(database.name, 'an inline bucket has no page');
  return pageBucket(database, () => Promise.resolve(parsePage(database.name, 0, inline)));
}

function damaged(name: string, why: string): UserError {
  return new UserError('BOLT_DAMAGED', `the database ${name} is damaged: ${why}`);
}
