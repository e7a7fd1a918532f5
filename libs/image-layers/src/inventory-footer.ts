import type { Hash } from 'node:crypto';
import type { Digest, LaidOutContent, LayerTraits } from '@boxship/model';

/** What is known of a layer as a whole; stands behind the records, as JSON. */
export interface InventorySummary {
  readonly diffId: Digest;
  /** Length of the uncompressed tar in bytes. */
  readonly tarSize: number;
  readonly entryCount: number;
  readonly fileBytes: number;
  readonly deviceCount: number;
  readonly hasDuplicates: boolean;
  readonly tarSplit: { readonly size: number; readonly sha256: string };
  /** Absent when a file comes twice or is sparse, and in inventories of earlier versions. */
  readonly laidOut?: LaidOutContent | undefined;
  /** Absent when a path comes twice, and in inventories of earlier versions. */
  readonly traits?: LayerTraits | undefined;
}

/** The end of the file: summary, then its length (u32), the length of the records (f64), sha256 of all before, magic. */
const MAGIC = Buffer.from('BXINV\x00\x01\n', 'latin1');
export const FOOTER_TAIL = 4 + 8 + 32 + MAGIC.length;

/** `hash` has seen the `recordBytes` bytes of the records. */
export function encodeFooter(summary: InventorySummary, recordBytes: number, hash: Hash): Buffer {
  const json = Buffer.from(JSON.stringify(summary), 'utf8');
  const lengths = Buffer.alloc(12);
  lengths.writeUInt32LE(json.length, 0);
  lengths.writeDoubleLE(recordBytes, 4);
  hash.update(json).update(lengths);
  return Buffer.concat([json, lengths, hash.digest(), MAGIC]);
}

export interface FooterTail {
  readonly jsonLength: number;
  readonly recordBytes: number;
  readonly sha256: Buffer;
}

/** The last FOOTER_TAIL bytes of a file of `fileSize` bytes; `undefined` when the file is not a whole inventory. */
export function decodeFooterTail(tail: Buffer, fileSize: number): FooterTail | undefined {
  if (tail.length !== FOOTER_TAIL || !tail.subarray(44).equals(MAGIC)) return undefined;
  const jsonLength = tail.readUInt32LE(0);
  const recordBytes = tail.readDoubleLE(4);
  if (recordBytes + jsonLength + FOOTER_TAIL !== fileSize) return undefined;
  return { jsonLength, recordBytes, sha256: tail.subarray(12, 44) };
}
