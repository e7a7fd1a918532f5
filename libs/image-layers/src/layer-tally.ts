import type { RecordedEntry } from './entry-record.ts';

/** Sums over the entries of a layer. */
export interface LayerSums {
  readonly entryCount: number;
  /** Sizes of the regular files, hard links once: docker's `size` of a layer. */
  readonly fileBytes: number;
  /** Character and block devices. */
  readonly deviceCount: number;
}

export function createLayerTally() {
  let entryCount = 0;
  let fileBytes = 0;
  let deviceCount = 0;
  return {
    add({ type, size }: RecordedEntry): void {
      entryCount++;
      if (type === 'file') fileBytes += size;
      else if (type === 'characterDevice' || type === 'blockDevice') deviceCount++;
    },
    sums: (): LayerSums => ({ entryCount, fileBytes, deviceCount }),
  };
}
