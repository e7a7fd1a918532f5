import { decodeRecord, type RecordedEntry } from './entry-record.ts';
import type { InventorySummary } from './inventory-footer.ts';
import { createLayerTally, type LayerSums } from './layer-tally.ts';
import { walkRecords } from './record-walk.ts';
import { createRecordWriter, type RecordWriter } from './record-writer.ts';

/**
 * Writes `records`, which are in the file `path`, again without those at the offsets in `dropped`, to the file `kept`. A hard link to a dropped file stays
 * a name of that file's bytes, as it would on a disk: the first becomes the file, the others link to it.
 */
export function dropDuplicates(
  records: RecordWriter,
  path: string,
  kept: string,
  dropped: ReadonlySet<number>,
  whole: Omit<InventorySummary, keyof LayerSums>,
): void {
  const output = createRecordWriter(kept);
  const tally = createLayerTally();
  const heirs = new Map<number, { readonly path: string; readonly offset: number }>();
  for (const { offset, entry } of walkRecords(path, records.flush(), decodeAt)) {
    if (dropped.has(offset)) continue;
    let next: RecordedEntry = entry;
    const target = entry.linkRecord;
    if (target !== undefined && dropped.has(target)) {
      const heir = heirs.get(target);
      next = heir
        ? { ...entry, link: heir.path, linkRecord: heir.offset }
        : { ...records.recordAt(target), path: entry.path };
    }
    const written = output.add(next);
    if (target !== undefined && next.type !== 'hardlink') heirs.set(target, { path: entry.path, offset: written });
    tally.add(next);
  }
  records.abandon();
  output.finish({ ...whole, ...tally.sums() });
}

function decodeAt(
  buffer: Buffer,
  at: number,
  offset: number,
): { readonly offset: number; readonly entry: RecordedEntry } {
  return { offset, entry: decodeRecord(buffer, at) };
}
