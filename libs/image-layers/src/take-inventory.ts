import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTarParser, printableName, type TarEntry } from '@boxship/filesystem';
import { GiB, UserError, digestHex } from '@boxship/model';
import type { Cache } from '@boxship/host';
import { blameBlob, layerName, readLayerTar, type LayerBlob } from './blob-reader.ts';
import { dropDuplicates } from './drop-duplicates.ts';
import type { RecordedEntry } from './entry-record.ts';
import { createLaidOutDigest, type LaidOutDigest } from './laid-out.ts';
import { createLayerTally } from './layer-tally.ts';
import { createLayerTraits } from './layer-traits.ts';
import { createPathTable } from './path-table.ts';
import { createRecordWriter } from './record-writer.ts';
import { createTarSplitWriter } from './tar-split-writer.ts';

/** Cache kind of inventories; the number is that of the record format. */
export const INVENTORY_KIND = 'inventory-v1';
export const RECORDS_FILE = 'records';
export const TAR_SPLIT_FILE = 'tar-split.json.gz';

export interface InventoryOptions {
  /** Most bytes that the layer may unpack to; default: 4 GiB or 200 times the blob, whichever is more. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Bytes of tar that were read since the last call. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * The folder in the cache with a layer's inventory; made by reading the blob once when it is not there.
 * Errors: those of `readLayerTar` and of the tar reader; HARDLINK_TARGET_MISSING, HARDLINK_TO_DIRECTORY.
 */
export function takeInventory(layer: LayerBlob, cache: Cache, options: InventoryOptions = {}): Promise<string> {
  return cache.get(INVENTORY_KIND, digestHex(layer.blob.digest), (folder) => writeInventory(layer, folder, options));
}

async function writeInventory(layer: LayerBlob, folder: string, options: InventoryOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const name = layerName(layer);
  const limit = options.limit ?? Math.max(4 * GiB, 200 * layer.blob.size);
  const recordsPath = join(folder, RECORDS_FILE);
  const records = createRecordWriter(recordsPath);
  const paths = createPathTable(records.pathAt);
  const tally = createLayerTally();
  const traits = createLayerTraits((path) => paths.find(path) >= 0);
  const dropped = new Set<number>();
  const globalHeaders = new Set<string>();
  let globalTwice = false;
  /** A sparse file's stored bytes go into the segments: engines put together whole files, which the tar never held. */
  let inSegments = false;
  let tarSize = 0;
  /** Of files whose bytes lie in the tar as they are; undefined when one does not. */
  let laidOut: LaidOutDigest | undefined = createLaidOutDigest();
  const tarSplit = await createTarSplitWriter(join(folder, TAR_SPLIT_FILE));

  const parser = createTarParser(
    {
      entry(entry) {
        inSegments = entry.segments !== undefined;
        tarSplit.startFile(entry.rawName, inSegments ? 0 : entry.storedSize);
        if (inSegments) laidOut = undefined;
        else if (entry.type === 'file' && entry.size > 0) laidOut?.file(entry.dataOffset, entry.size);
        const recorded = resolve(entry);
        traits.add(recorded);
        const before = paths.set(entry.path, records.add(recorded));
        if (before >= 0) dropped.add(before);
        tally.add(recorded);
      },
      data(bytes) {
        if (inSegments) {
          tarSplit.endFile();
          tarSplit.raw(bytes);
        } else {
          tarSplit.data(bytes);
          laidOut?.data(bytes);
        }
      },
      raw(bytes) {
        tarSplit.endFile();
        tarSplit.raw(bytes);
      },
      globalHeader(rawName) {
        // Go hands it out like an entry, and tar-split counts its name among those that may come once
        tarSplit.startFile(rawName, 0);
        tarSplit.endFile();
        globalTwice ||= globalHeaders.has(rawName);
        globalHeaders.add(rawName);
      },
      archiveEnd: () => tarSplit.flushSegment(),
    },
    { name, globalHeaders: 'ignore' },
  );

  function resolve(entry: TarEntry): RecordedEntry {
    if (entry.type === 'file' && entry.size > 0 && !entry.segments) return { ...entry, dataOffset: entry.dataOffset };
    if (entry.type !== 'hardlink') return entry;
    const linkRecord = paths.find(entry.link!);
    const quoted = `${name}: "${printableName(entry.path)}" is a hard link to "${printableName(entry.link!)}"`;
    if (linkRecord < 0) {
      throw new UserError(
        'HARDLINK_TARGET_MISSING',
        `${quoted}, which does not come before it in this layer`,
        'No engine can unpack this layer; build the image again.',
      );
    }
    const target = records.recordAt(linkRecord);
    if (target.type === 'directory') {
      throw new UserError(
        'HARDLINK_TO_DIRECTORY',
        `${quoted}, a directory`,
        'No engine can unpack this layer; build the image again.',
      );
    }
    // a link to a link is a link to what that one links to
    return target.type === 'hardlink'
      ? { ...entry, link: target.link!, linkRecord: target.linkRecord! }
      : { ...entry, linkRecord };
  }

  let closed = false;
  try {
    try {
      for await (const chunk of readLayerTar(layer, { limit, signal: options.signal })) {
        tarSize += chunk.length;
        parser.push(chunk);
        options.onProgress?.(chunk.length);
      }
      parser.end();
    } catch (error) {
      throw options.signal?.aborted ? error : await blameBlob(layer, error);
    }
    closed = true;
    const whole = {
      diffId: layer.diffId,
      tarSize,
      hasDuplicates: dropped.size > 0 || globalTwice,
      tarSplit: tarSplit.finish(),
    };
    if (dropped.size === 0) {
      records.finish({ ...whole, ...tally.sums(), laidOut: laidOut?.finish(), traits: traits.finish() });
    } else {
      const kept = `${recordsPath}.kept`;
      dropDuplicates(records, recordsPath, kept, dropped, whole);
      await rename(kept, recordsPath);
    }
  } catch (error) {
    if (!closed) {
      tarSplit.abandon();
      records.abandon();
    }
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
