/* On-disk structures of bbolt (internal/common/page.go, meta.go, bucket.go), little-endian. */

export const PAGE_SIZE = 4096;
/** id u64, flags u16, count u16, overflow u32. */
export const PAGE_HEADER = 8 + 2 + 2 + 4;
/** Leaf: flags, pos, ksize, vsize u32 each. Branch: pos, ksize u32, page id u64. */
export const ELEMENT = 16;
/** `count` of a page is a u16. */
export const ELEMENTS_MAX = 65535;
/** Root page id u64, sequence u64. */
export const BUCKET_HEADER = 16;
/** bucket.go `maxInlineBucketSize`: a quarter of a page. */
export const INLINE_MAX = PAGE_SIZE / 4;

export const BRANCH_PAGE = 0x01;
export const LEAF_PAGE = 0x02;
export const META_PAGE = 0x04;
export const FREELIST_PAGE = 0x10;

const MAGIC = 0xed0cdaed;
const VERSION = 2;
/** page.go `BucketLeafFlag`. */
export const BUCKET_FLAG = 0x01;

/** An element of a leaf page has a value, one of a branch page the id of the page below it. */
export interface Element {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
  readonly isBucket?: boolean;
  readonly pageId?: number;
}

/** A page: header, elements, then keys and values in their order; `whole` fills it up to whole pages (the default). */
export function encodePage(
  id: number,
  flags: number,
  elements: readonly Element[],
  { body, whole = true }: { readonly body?: Uint8Array; readonly whole?: boolean } = {},
): Uint8Array {
  let size = PAGE_HEADER + (body?.length ?? 0);
  for (const { key, value } of elements) size += ELEMENT + key.length + (value?.length ?? 0);
  const length = whole ? Math.ceil(size / PAGE_SIZE) * PAGE_SIZE : size;
  const page = Buffer.alloc(length);
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(elements.length, 10);
  page.writeUInt32LE(whole ? length / PAGE_SIZE - 1 : 0, 12);
  if (body) page.set(body, PAGE_HEADER);
  let element = PAGE_HEADER;
  let data = PAGE_HEADER + ELEMENT * elements.length;
  for (const { key, value, isBucket, pageId } of elements) {
    const position = data - element; // from the element itself
    if (value) {
      page.writeUInt32LE(isBucket ? BUCKET_FLAG : 0, element);
      page.writeUInt32LE(position, element + 4);
      page.writeUInt32LE(key.length, element + 8);
      page.writeUInt32LE(value.length, element + 12);
    } else {
      page.writeUInt32LE(position, element);
      page.writeUInt32LE(key.length, element + 4);
      page.writeBigUInt64LE(BigInt(pageId!), element + 8);
    }
    page.set(key, data);
    data += key.length;
    if (value) page.set(value, data);
    data += value?.length ?? 0;
    element += ELEMENT;
  }
  return page;
}

export function bucketHeader(rootId: number, sequence: number): Uint8Array {
  const header = Buffer.alloc(BUCKET_HEADER);
  header.writeBigUInt64LE(BigInt(rootId), 0);
  header.writeBigUInt64LE(BigInt(sequence), 8);
  return header;
}

export interface Meta {
  readonly rootId: number;
  readonly sequence: number;
  readonly freelistId: number;
  /** The first page id that is not in use. */
  readonly end: number;
  readonly transaction: number;
}

/** magic, version, page size, flags u32; root bucket; free list, end, transaction, checksum u64. */
export function metaBody({ rootId, sequence, freelistId, end, transaction }: Meta): Uint8Array {
  const body = Buffer.alloc(4 * 4 + BUCKET_HEADER + 4 * 8);
  body.writeUInt32LE(MAGIC, 0);
  body.writeUInt32LE(VERSION, 4);
  body.writeUInt32LE(PAGE_SIZE, 8);
  body.set(bucketHeader(rootId, sequence), 16);
  body.writeBigUInt64LE(BigInt(freelistId), 32);
  body.writeBigUInt64LE(BigInt(end), 40);
  body.writeBigUInt64LE(BigInt(transaction), 48);
  body.writeBigUInt64LE(fnv1a64(body.subarray(0, 56)), 56);
  return body;
}

/** The meta that `metaBody` wrote, or bbolt with pages of another size; undefined when it is none or not whole. */
export function parseMeta(body: Buffer): (Meta & { readonly pageSize: number }) | undefined {
  if (body.readUInt32LE(0) !== MAGIC || body.readUInt32LE(4) !== VERSION) return undefined;
  if (body.readBigUInt64LE(56) !== fnv1a64(body.subarray(0, 56))) return undefined;
  const number = (at: number) => Number(body.readBigUInt64LE(at));
  const pageSize = body.readUInt32LE(8);
  return {
    pageSize,
    rootId: number(16),
    sequence: number(24),
    freelistId: number(32),
    end: number(40),
    transaction: number(48),
  };
}

/** FNV-1a, 64 bits (draft-eastlake-fnv). */
function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
