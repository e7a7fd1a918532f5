import { isBucket, type Bucket } from './bucket.ts';
import {
  BRANCH_PAGE,
  ELEMENT,
  ELEMENTS_MAX,
  FREELIST_PAGE,
  INLINE_MAX,
  LEAF_PAGE,
  META_PAGE,
  PAGE_HEADER,
  PAGE_SIZE,
  bucketHeader,
  encodePage,
  metaBody,
  type Element,
} from './page.ts';

/** Pages 0 and 1 are the metas, 2 is the free list, which is empty. */
const FREELIST_ID = 2;
const FIRST_DATA_ID = 3;

/**
 * The file of a database with this root bucket: what bbolt 1.3 and 1.4 read, check and write on in. Equal buckets give
 * equal bytes; pages have 4096 bytes whatever the machine's have (bbolt takes the size from the file).
 */
export function writeBolt(root: Bucket): Uint8Array {
  const pages: Uint8Array[] = [];
  let next = FIRST_DATA_ID;
  const allocate = (flags: number, elements: readonly Element[]): number => {
    const id = next;
    const page = encodePage(id, flags, elements);
    next += page.length / PAGE_SIZE;
    pages.push(page);
    return id;
  };

  /** Writes the bucket's tree; gives the id of its topmost page. */
  const writeTree = (bucket: Bucket): number => {
    let level = cutLevel(LEAF_PAGE, leafElements(bucket, writeBucket)).map((elements) => ({
      key: elements[0]?.key ?? new Uint8Array(),
      id: allocate(LEAF_PAGE, elements),
    }));
    while (level.length > 1) {
      level = cutLevel(BRANCH_PAGE, level.map(({ key, id }) => ({ key, pageId: id }))).map((elements) => ({
        key: elements[0]!.key,
        id: allocate(BRANCH_PAGE, elements),
      })); // prettier-ignore
    }
    return level[0]!.id;
  };

  /** The value under which a parent keeps `bucket`: small ones stand there whole (bucket.go `inlineable`). */
  const writeBucket = (bucket: Bucket): Uint8Array => {
    if (isInline(bucket)) {
      const page = encodePage(0, LEAF_PAGE, leafElements(bucket, writeBucket), { whole: false });
      return Buffer.concat([bucketHeader(0, bucket.sequence), page]);
    }
    return bucketHeader(writeTree(bucket), bucket.sequence);
  };

  const rootId = writeTree(root);
  const head = [0, 1].map((id) => {
    // the second is the newer one
    const body = metaBody({ rootId, sequence: root.sequence, freelistId: FREELIST_ID, end: next, transaction: id });
    return encodePage(id, META_PAGE, [], { body });
  });
  return Buffer.concat([...head, encodePage(FREELIST_ID, FREELIST_PAGE, []), ...pages]);
}

function leafElements(bucket: Bucket, writeBucket: (bucket: Bucket) => Uint8Array): Element[] {
  return bucket.entries.map(({ key, value }) =>
    isBucket(value) ? { key, value: writeBucket(value), isBucket: true } : { key, value, isBucket: false },
  );
}

function isInline(bucket: Bucket): boolean {
  let size = PAGE_HEADER;
  for (const { key, value } of bucket.entries) {
    if (isBucket(value)) return false;
    size += ELEMENT + key.length + value.length;
  }
  return size <= INLINE_MAX;
}

/** Cuts elements into pages that they fill; one that is larger than a page has one of its own, with overflow. */
function cutLevel(flags: number, elements: readonly Element[]): Element[][] {
  const pages: Element[][] = [[]];
  let size = PAGE_HEADER;
  for (const element of elements) {
    const length = ELEMENT + element.key.length + (element.value?.length ?? 0);
    const page = pages.at(-1)!;
    // a branch page has two elements at least
    const least = flags === BRANCH_PAGE ? 2 : 1;
    if (page.length >= least && (size + length > PAGE_SIZE || page.length === ELEMENTS_MAX)) {
      pages.push([element]);
      size = PAGE_HEADER + length;
    } else {
      page.push(element);
      size += length;
    }
  }
  return pages;
}
