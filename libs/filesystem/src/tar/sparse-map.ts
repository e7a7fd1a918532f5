import type { FileSegment } from '@boxship/model';
import { BadField, readNumber } from './header-block.ts';
import type { PaxRecords } from './pax-records.ts';

/** Position and length of one run of data, as an archive states it. */
export interface SparseRun {
  readonly position: number;
  readonly length: number;
}

/** As many runs as 1 MiB of the densest map can hold; more is refused. */
export const MAX_SPARSE_RUNS = 1 << 18;

/** Which PAX sparse format the records tell (GNU tar manual, "PAX Format, Versions 0.0, 0.1 and 1.0"). */
export function paxSparseVersion(records: PaxRecords): '0.x' | '1.0' | undefined {
  const major = records.get('GNU.sparse.major');
  const minor = records.get('GNU.sparse.minor');
  if (major === '1' && minor === '0') return '1.0';
  if (major === '0' && (minor === '0' || minor === '1')) return '0.x';
  if (major || minor) throw new BadField(`sparse format ${major ?? ''}.${minor ?? ''} is not known`);
  // 0.0 and 0.1 carry no version; a file of nothing but a hole has numblocks 0 and no map
  return records.has('GNU.sparse.map') || records.has('GNU.sparse.numblocks') ? '0.x' : undefined;
}

/** The map of formats 0.0 and 0.1: `position,length,position,length…` in decimal. Throws BadField. */
export function parsePaxSparseMap(records: PaxRecords): SparseRun[] {
  const text = records.get('GNU.sparse.map') ?? '';
  const numbers = text === '' ? [] : text.split(',').map(parseDecimal);
  const blocks = parseDecimal(records.get('GNU.sparse.numblocks') ?? '');
  if (numbers.length !== 2 * blocks) {
    throw new BadField(`the sparse map has ${numbers.length} numbers where ${blocks} runs need ${2 * blocks}`);
  }
  return pairs(numbers);
}

/**
 * How many lines the map of format 1.0 has: it stands before the data, decimal lines, the first is the count of runs.
 * `undefined` while `text` does not hold that line yet. Throws BadField.
 */
export function sparseMapLineCount(text: string): number | undefined {
  const first = text.indexOf('\n');
  if (first < 0) return undefined;
  const count = parseDecimal(text.slice(0, first));
  if (count > MAX_SPARSE_RUNS) {
    throw new BadField(`the sparse map states ${count} runs, at most ${MAX_SPARSE_RUNS} are read`);
  }
  return 1 + 2 * count;
}

/** The runs of a map of format 1.0 that holds at least `lineCount` lines. Throws BadField. */
export function parseSparseMapLines(text: string, lineCount: number): SparseRun[] {
  return pairs(text.split('\n', lineCount).slice(1).map(parseDecimal));
}

/** Adds the runs of an old GNU header (4 at 386) or of an extension block (21 at 0) to `runs`. Throws BadField. */
export function readOldSparseRuns(block: Uint8Array, at: number, count: number, runs: SparseRun[]): void {
  for (let i = 0; i < count; i++) {
    const field = at + 24 * i;
    if (block[field] === 0) return; // GNU and BSD tar stop here as well
    if (runs.length >= MAX_SPARSE_RUNS) throw new BadField(`the sparse map has more than ${MAX_SPARSE_RUNS} runs`);
    runs.push({ position: readNumber(block, field, 12), length: readNumber(block, field + 12, 12) });
  }
}

/** Runs as segments of the stream; refuses a map that overlaps, leaves the file, or does not match the stored bytes. */
export function placeSparseRuns(
  runs: readonly SparseRun[],
  size: number,
  stored: number,
  offset: number,
): readonly FileSegment[] {
  const segments: FileSegment[] = [];
  let end = 0;
  let used = 0;
  for (const { position, length } of runs) {
    if (position < 0 || length < 0 || position < end || length > size - position) {
      throw new BadField(`the sparse map lies: run ${position}+${length} after byte ${end} of a file of ${size} bytes`);
    }
    if (length > 0) segments.push({ position, offset: offset + used, length });
    used += length;
    end = position + length;
  }
  if (used !== stored) throw new BadField(`the sparse map lies: it covers ${used} bytes, ${stored} are stored`);
  return segments;
}

function pairs(numbers: readonly number[]): SparseRun[] {
  const runs: SparseRun[] = [];
  if (numbers.length > 2 * MAX_SPARSE_RUNS) throw new BadField(`the sparse map has more than ${MAX_SPARSE_RUNS} runs`);
  for (let i = 0; i + 1 < numbers.length; i += 2) runs.push({ position: numbers[i]!, length: numbers[i + 1]! });
  return runs;
}

function parseDecimal(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value))
    throw new BadField(`the sparse map holds "${text.slice(0, 20)}" where a number belongs`);
  return value;
}
