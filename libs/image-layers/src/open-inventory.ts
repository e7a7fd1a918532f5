import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError, type ContentSource, type Digest, type LaidOutContent, type LayerInventory } from '@boxship/model';
import { decodeEntry } from './entry-record.ts';
import { decodeFooterTail, FOOTER_TAIL, type InventorySummary } from './inventory-footer.ts';
import { walkRecords } from './record-walk.ts';
import { RECORDS_FILE, TAR_SPLIT_FILE } from './take-inventory.ts';

/** A layer's inventory with what the plan wants to know besides. */
export interface CachedInventory extends LayerInventory {
  /** Length of the uncompressed tar in bytes. */
  readonly tarSize: number;
  /** Digest of the uncompressed tar that was read. */
  readonly diffId: Digest;
  /** Character and block devices among the entries; whiteouts are not, they are names. */
  readonly deviceCount: number;
  readonly laidOut?: LaidOutContent | undefined;
}

/**
 * The inventory in a folder of `takeInventory`; entries are read from disk whenever they are walked. `undefined` when the
 * folder does not hold a whole one (its length or its checksum is wrong). `sourceOf` is the layer's tar, in which entries'
 * content lies.
 */
export async function openInventory(
  folder: string,
  sourceOf: (summary: Pick<CachedInventory, 'tarSize' | 'laidOut'>) => ContentSource,
): Promise<CachedInventory | undefined> {
  const recordsPath = join(folder, RECORDS_FILE);
  const found = await readSummary(recordsPath);
  if (!found) return undefined;
  const { summary, recordBytes } = found;
  const tarSplitPath = join(folder, TAR_SPLIT_FILE);
  const tarSplitSize = await stat(tarSplitPath).then(
    (info) => info.size,
    () => -1,
  );
  if (tarSplitSize !== summary.tarSplit.size) return undefined;
  const source = sourceOf(summary);
  return {
    entries: () => walkRecords(recordsPath, recordBytes, (buffer, at) => decodeEntry(buffer, at, source)),
    entryCount: summary.entryCount,
    fileBytes: summary.fileBytes,
    hasDuplicates: summary.hasDuplicates,
    tarSplit: cachedFile(tarSplitPath, summary.tarSplit),
    tarSize: summary.tarSize,
    diffId: summary.diffId,
    deviceCount: summary.deviceCount,
    laidOut: summary.laidOut,
    traits: summary.traits,
  };
}

async function readSummary(
  path: string,
): Promise<{ readonly summary: InventorySummary; readonly recordBytes: number } | undefined> {
  const handle = await open(path).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    if (size < FOOTER_TAIL) return undefined;
    const bytes = Buffer.allocUnsafe(FOOTER_TAIL);
    await handle.read(bytes, 0, FOOTER_TAIL, size - FOOTER_TAIL);
    const tail = decodeFooterTail(bytes, size);
    if (!tail) return undefined;
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(256 * 1024);
    let json = Buffer.alloc(0);
    const jsonEnd = tail.recordBytes + tail.jsonLength;
    for (let at = 0; at < jsonEnd + 12;) {
      // the summary is read by itself, so that it comes in one piece
      const end = at < tail.recordBytes ? tail.recordBytes : jsonEnd + 12;
      const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, end - at), at);
      if (bytesRead === 0) return undefined;
      hash.update(chunk.subarray(0, bytesRead));
      if (at === tail.recordBytes) json = Buffer.from(chunk.subarray(0, tail.jsonLength));
      at += bytesRead;
    }
    if (!hash.digest().equals(tail.sha256)) return undefined;
    return { summary: JSON.parse(json.toString('utf8')) as InventorySummary, recordBytes: tail.recordBytes };
  } finally {
    await handle.close();
  }
}

/** A file of the cache whose digest is checked whenever it is read. */
function cachedFile(path: string, { size, sha256 }: { readonly size: number; readonly sha256: string }): ContentSource {
  return {
    id: `sha256:${sha256}`,
    size,
    async *open(signal) {
      const hash = createHash('sha256');
      const handle = await open(path);
      try {
        const chunk = Buffer.allocUnsafe(256 * 1024);
        for (let at = 0; ;) {
          signal?.throwIfAborted();
          const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
          if (bytesRead === 0) break;
          at += bytesRead;
          hash.update(chunk.subarray(0, bytesRead));
          yield chunk.subarray(0, bytesRead);
        }
      } finally {
        await handle.close();
      }
      if (hash.digest('hex') !== sha256) {
        throw new UserError('CACHE_DAMAGED', 'a tar-split file in the cache is damaged', 'Remove it and run "boxship lock" again.', {
          file: path,
        }); // prettier-ignore
      }
    },
  };
}
