import type { RandomReader } from '@boxship/model';

/** Bytes of a page, at its multiples. Inodes that are asked for one after another lie side by side. */
const PAGE = 16 * 1024;
/** Pages that are kept: 4 MiB, whatever is read. */
const PAGES = 256;
/** A read that is longer goes past the cache: the bytes of a file come once. */
const SHORT = 4096;

/**
 * The same bytes with fewer reads: pages that short reads came from are kept, those of the last use. For what does not change as
 * long as it is read. Bytes that it returns are not to be written to. Errors: those of `reader` for these bytes.
 */
export function pageCache(reader: RandomReader): RandomReader {
  const pages = new Map<number, Promise<Uint8Array>>();
  const pageAt = (start: number): Promise<Uint8Array> => {
    const known = pages.get(start);
    if (known) {
      pages.delete(start); // to the end: the first one is the one that was not used for longest
      pages.set(start, known);
      return known;
    }
    const page = reader.read(start, Math.min(PAGE, reader.size - start));
    pages.set(start, page);
    page.catch(() => pages.delete(start));
    if (pages.size > PAGES) pages.delete(pages.keys().next().value!);
    return page;
  };
  return {
    size: reader.size,
    async read(position, length) {
      const start = position - (position % PAGE);
      const isShort = length <= SHORT && position + length <= Math.min(start + PAGE, reader.size);
      if (!isShort) return await reader.read(position, length);
      // what was asked for may be whole where its neighbours are not
      const page = await pageAt(start).catch(() => undefined);
      if (!page) return await reader.read(position, length);
      return page.subarray(position - start, position - start + length);
    },
  };
}
