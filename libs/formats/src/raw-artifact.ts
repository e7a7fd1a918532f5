import { open, type FileHandle } from 'node:fs/promises';
import { copySparse, writtenMark, type CopyOptions, type WrittenMark } from '@boxship/disk';
import type { BaseDevice } from './base-image-format.ts';
import type { ContentWriter, Ext4Plan } from '@boxship/filesystem';
import {
  directWriter,
  letReaderCome,
  newDirectWay,
  newHandOver,
  openDirectFile,
  readAhead,
  sideBySide,
  withPath,
  type DirectFile,
} from '@boxship/host';
import {
  MiB,
  writerSlice,
  type ByteRange,
  type ContentSource,
  type Digest,
  type DirectWay,
  type HandOver,
  type Patch,
  type RandomReader,
  type RandomWriter,
  type ScatterTarget,
} from '@boxship/model';

/** One file system of ours and where it goes, bytes from the start of the device. */
export interface PlacedFilesystem {
  readonly start: number;
  readonly plan: Ext4Plan;
}

/** A partition that is taken over from another image, byte for byte. All numbers in bytes. */
export interface Transplant {
  /** Where it goes, from the start of the device. */
  readonly start: number;
  readonly content: RandomReader;
  /** Ranges of `content` that a flasher must write. */
  readonly mapped: readonly ByteRange[];
}

/** A disk image, planned to the byte: the vendor's, our table, our partitions. */
export interface RawImagePlan {
  readonly base: Pick<BaseDevice, 'path' | 'content'>;
  readonly deviceSize: number;
  /** The new partition table, as bytes at their positions. */
  readonly patches: readonly Patch[];
  /** Bytes of the base that are an old table and nothing else: not copied. */
  readonly stale: readonly ByteRange[];
  readonly filesystems: readonly PlacedFilesystem[];
  readonly transplants?: readonly Transplant[];
  /**
   * Bytes of the base that matter, when the vendor's block map says so; all of it otherwise, since zeros of a vendor may
   * matter.
   */
  readonly baseMapped: readonly ByteRange[];
}

/** A disk image while it is written: its frame, contents as they stream by, then `finish`. */
export interface RawImageWriter {
  readonly path: string;
  /** Grows as bytes become final, so that others can read behind the writer. */
  readonly written: WrittenMark;
  /** Some of it was written twice, and final only then: who read behind has read something else. */
  wasRewritten(): boolean;
  /** Whether it is written past the page cache: for who reads behind. */
  readonly directWay: DirectWay | undefined;
  /** What is written lies there for a while, for who reads behind. */
  readonly handOver: HandOver | undefined;
  /**
   * SHA-256 of what the file system at `start` holds of a source that scattered its bytes, taken from memory; undefined where
   * its pieces are no run, and before it is written.
   */
  contentDigest(start: number, source: ContentSource): Digest | undefined;
  /** Vendor bytes with the edit, the table, and all of our file systems but the contents of files. */
  writeFrame(options: FrameOptions): Promise<void>;
  /** Who takes the stream of this source. */
  contentWriters(source: ContentSource): readonly ContentWriter[];
  /** The same, for a source that scatters its bytes itself. Ask for one of the two. */
  scatterTargets(source: ContentSource): readonly ScatterTarget[];
  /** Brings everything to the disk and closes the file. */
  finish(): Promise<void>;
  /** Gives back the memory between writers and reader, when none of them is there any more. */
  endHandOver(): void;
  /** Closes the file as it is; it is closed already after `finish`. */
  abandon(): Promise<void>;
}

export interface FrameOptions {
  readonly onBytes: (bytes: number) => void;
  /** What takes the place of the vendor's bytes. */
  readonly patches: Promise<readonly Patch[]>;
}

/** Parts of the base that are copied: all but old tables and what the base is too short for. */
export function copiedRanges({ base, deviceSize, stale }: RawImagePlan): readonly ByteRange[] {
  let ranges: ByteRange[] = [{ start: 0, end: Math.min(base.content.size, deviceSize) }];
  for (const hole of stale) ranges = withoutRange(ranges, hole);
  return ranges;
}

/** The ranges without what of them lies in `hole`. */
export function withoutRange(ranges: readonly ByteRange[], hole: ByteRange): ByteRange[] {
  return ranges.flatMap(({ start, end }) =>
    [
      { start, end: Math.min(end, Math.max(start, hole.start)) },
      { start: Math.max(start, Math.min(end, hole.end)), end },
    ].filter((range) => range.end > range.start),
  );
}

/** Gaps up to this size are written along: fewer, longer writes are quicker on flash, and one digest covers both sides. */
const SMALL_GAP = 4 * MiB;

/** Every range that a flasher must write, ascending; the rest may keep what the device had before. */
export function mappedRanges(plan: RawImagePlan): readonly ByteRange[] {
  const needed = [
    ...plan.baseMapped,
    ...plan.patches.map(({ position, bytes }) => ({ start: position, end: position + bytes.length })),
    ...plan.filesystems.flatMap(({ start, plan: { mapped } }) =>
      mapped.map((range) => ({ start: start + range.start, end: start + range.end })),
    ),
    ...(plan.transplants ?? []).flatMap(({ start, mapped }) =>
      mapped.map((range) => ({ start: start + range.start, end: start + range.end })),
    ),
  ].sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of needed) {
    const last = merged.at(-1);
    if (last && start - last.end <= SMALL_GAP) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** Every range that nobody writes: holes of the file. Ascending and apart. */
export function emptyRanges(plan: RawImagePlan): readonly ByteRange[] {
  const touched = [
    ...copiedRanges(plan),
    ...plan.patches.map(({ position, bytes }) => ({ start: position, end: position + bytes.length })),
    ...plan.filesystems.flatMap(({ start, plan: { mapped } }) =>
      mapped.map((range) => ({ start: start + range.start, end: start + range.end })),
    ),
    ...(plan.transplants ?? []).map(({ start, content }) => ({ start, end: start + content.size })),
  ].sort((a, b) => a.start - b.start);
  const empty: ByteRange[] = [];
  let end = 0;
  for (const range of touched) {
    if (range.start > end) empty.push({ start: end, end: range.start });
    end = Math.max(end, range.end);
  }
  if (end < plan.deviceSize) empty.push({ start: end, end: plan.deviceSize });
  return empty;
}

export interface RawImageOptions {
  /** Others will read all of it when it is written, so that it had better be in the page cache. */
  readonly isReadAgain?: boolean;
  /** Images that are written at the same time: they share the memory that there is. */
  readonly imagesAtOnce?: number | undefined;
}

/** Buffers of 1 MiB between a writer and the reader: of all images, the most of one, and the least that is of use. */
const [ALL_BUFFERS, MOST_BUFFERS, LEAST_BUFFERS] = [16, 6, 3];

/** Opens a new file at `path` for the image. Errors: those of the file system (ENOSPC as it is). */
export async function openRawImage(
  path: string,
  plan: RawImagePlan,
  { isReadAgain = false, imagesAtOnce = 1 }: RawImageOptions = {},
): Promise<RawImageWriter> {
  const directWay = isReadAgain ? undefined : newDirectWay();
  const handle = await open(path, 'wx+', 0o644);
  try {
    await handle.truncate(plan.deviceSize);
  } catch (error) {
    await handle.close();
    throw withPath(error, path);
  }
  const file = openDirectFile(handle.fd, path, 'write', directWay);
  const writeback = earlyWriteback(handle, file);
  const target = writeback.over(directWriter(file, path));
  const buffers = Math.max(LEAST_BUFFERS, Math.min(MOST_BUFFERS, Math.floor(ALL_BUFFERS / imagesAtOnce)));
  const openHandOver = newHandOver(buffers);
  const handOver = openHandOver?.handOver;
  const written = writtenMark(handOver);
  const contents = new Map<string, Digest>();
  let rewritten = false;
  /** What is not final yet; the lowest of them is how far the file is final. */
  const frame = { vendor: 0, own: Math.min(...plan.filesystems.map(({ start }) => start)) };
  const pending: { pending(): number }[] = [{ pending: () => Math.min(frame.vendor, frame.own) }];
  const mark = () => written.advance(Math.min(plan.deviceSize, ...pending.map((one) => one.pending())));
  const tracked = (writer: ContentWriter, start: number): ContentWriter => {
    pending.push({ pending: () => start + writer.pending() });
    return {
      pending: () => writer.pending(),
      async write(chunk) {
        await writer.write(chunk);
        mark();
      },
      async end() {
        await writer.end();
        mark();
      },
    };
  };
  const holders = ({ id }: ContentSource) =>
    plan.filesystems.filter(({ plan: filesystem }) => filesystem.sources().some((source) => source.id === id));
  return {
    path,
    written,
    ...{ directWay, handOver },
    wasRewritten: () => rewritten,
    contentDigest: (start, { id }) => contents.get(`${start} ${id}`),
    async writeFrame({ onBytes, patches: edited }) {
      await using ahead = readAhead(plan.base.path);
      // first: while this thread computes, the programs that make them would wait for it
      const patches = [...plan.patches, ...(await edited)];
      const writeVendor = async () => {
        for (const { position, bytes } of besideRanges(patches, copiedRanges(plan)))
          await target.write(position, bytes);
        const { transplants = [] } = plan;
        const untouched = Math.min(...transplants.map(({ start }) => start));
        // who reads behind comes along
        const onCopied = (end: number) => {
          ahead.passed(end);
          frame.vendor = Math.min(end, untouched);
          mark();
        };
        await copyBase(plan, target, { patches, onBytes, onCopied });
        for (const { start, content } of transplants) {
          await copySparse(content, writerSlice(target, start), [{ start: 0, end: content.size }], { onBytes });
        }
        frame.vendor = Infinity;
        mark();
      };
      const writeOwn = async () => {
        for (const { start, plan: filesystem } of plan.filesystems) {
          await filesystem.writeMetadata(writerSlice(target, start));
        }
        frame.own = Infinity;
        mark();
      };
      await sideBySide([writeVendor, writeOwn]); // the one waits for the disk, the other computes
      if (handOver) letReaderCome(handOver);
    },
    contentWriters: (source) =>
      holders(source).map(({ start, plan: filesystem }) =>
        tracked(filesystem.contentWriter(source, writerSlice(target, start)), start),
      ),
    scatterTargets: (source) =>
      holders(source).map(({ start, plan: filesystem }) => {
        const pieces = filesystem.contentPieces(source);
        let lowest = start + pieces.lowest;
        pending.push({ pending: () => lowest });
        return {
          ...{ descriptor: handle.fd, path, start, pieces, directWay, handOver },
          onWritten(bytes, now) {
            lowest = now;
            mark();
            writeback.count(bytes);
          },
          onRewritten: () => void (rewritten = true),
          onContent: (sha256: string) => void contents.set(`${start} ${source.id}`, `sha256:${sha256}`),
        };
      }),
    async finish() {
      try {
        await writeback.settled();
        await handle.sync();
      } catch (error) {
        throw withPath(error, path);
      } finally {
        file[Symbol.dispose]();
        await handle.close();
      }
    },
    endHandOver: () => openHandOver?.[Symbol.dispose](),
    async abandon() {
      await writeback.settled().catch(() => {});
      file[Symbol.dispose]();
      await handle.close();
    },
  };
}

/** What of the patches lies in none of the ranges. */
function besideRanges(patches: readonly Patch[], ranges: readonly ByteRange[]): readonly Patch[] {
  return patches.flatMap(({ position, bytes }) =>
    ranges
      .reduce(withoutRange, [{ start: position, end: position + bytes.length }])
      .map(({ start, end }) => ({ position: start, bytes: bytes.subarray(start - position, end - position) })),
  );
}

async function copyBase(plan: RawImagePlan, target: RandomWriter, options: CopyOptions): Promise<void> {
  const base = await open(plan.base.path, 'r');
  try {
    await copySparse(base, target, copiedRanges(plan), options);
  } finally {
    await base.close();
  }
}

/** Bytes between two calls to the disk. */
const WRITEBACK_STEP = 64 * MiB;

/**
 * Sends to the disk what was written so far, now and then, while the next bytes are inflated. By itself Linux waits until a
 * tenth of the memory is dirty: then all of it would be left to the sync at the end. What goes past the page cache is on its way
 * already: a call would only have the disk empty its own cache, and no write goes on meanwhile.
 */
function earlyWriteback(handle: FileHandle, { isDirect }: Pick<DirectFile, 'isDirect'>) {
  let written = 0;
  let syncing: Promise<unknown> | undefined;
  /** Linux tells a failed write to the first call that asks, and to no other. */
  let failure: unknown;
  const count = (bytes: number) => {
    if (isDirect()) return;
    written += bytes;
    if (written < WRITEBACK_STEP || syncing) return;
    written = 0;
    syncing = handle
      .datasync()
      .catch((error: unknown) => (failure ??= error))
      .then(() => (syncing = undefined));
  };
  return {
    /** So many bytes more are written. */
    count,
    over: (target: RandomWriter): RandomWriter => ({
      async write(position, bytes) {
        await target.write(position, bytes);
        count(bytes.length);
      },
    }),
    /** Waits for a call that is under way. Errors: what went wrong in this one or in an earlier one. */
    async settled() {
      await syncing;
      if (failure !== undefined) throw failure;
    },
  };
}
