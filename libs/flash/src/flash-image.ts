import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { decompressTo, probeCompression, type RangeDigest } from '@boxship/disk';
import { fileWriter, runProgram, withPath, type Progress } from '@boxship/host';
import { MiB, UserError, formatByteSize, type RandomWriter } from '@boxship/model';
import { openExclusively, type FlashTarget } from './flash-target.ts';

/** An image to write: a file, plain or compressed, and what of it matters. */
export interface FlashImage {
  readonly path: string;
  /** Bytes of the plain image. */
  readonly size: number;
  /** What is written, in order, with the digest of each, from a source that can be believed. */
  readonly ranges: readonly RangeDigest[];
}

export interface FlashOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Bytes of one write: whole erase blocks of common cards, one after the other. */
const WRITE_SIZE = 4 * MiB;
/** Cleared first and written last: the partition table, and the boot loader of many. */
const HEAD = MiB;
/** The backup of an old GPT at the end of a device: 128 entries of 128 bytes, and a header, of 4096-byte sectors at most. */
const OLD_BACKUP = 5 * 4096;

/**
 * Writes the ranges of an image to a device and reads them back. Opens it for itself alone. The head of the device is cleared
 * first and written last, so that a device which was left half-written has no partition table; a backup of the table that it
 * had before goes, too. Errors: DEVICE_IN_USE, IMAGE_CHANGED, FLASH_VERIFY_FAILED, those of decompression and of the system.
 */
export async function flashImage(target: FlashTarget, image: FlashImage, options: FlashOptions): Promise<void> {
  const handle = await openExclusively(target);
  try {
    if (target.kind === 'file') {
      await handle.truncate(0); // a new disk, not one with the remains of another
      await handle.truncate(image.size);
    }
    await write(target, handle, image, options);
    await readBack(target, handle, image, options);
  } finally {
    await handle.close();
  }
}

async function write(target: FlashTarget, handle: FileHandle, image: FlashImage, options: FlashOptions): Promise<void> {
  const { progress, signal } = options;
  const sum = image.ranges.reduce((bytes, { start, end }) => bytes + end - start, 0);
  const step = progress.start(`writing ${target.path}`, sum);
  const device = fileWriter(handle, target.path);
  const head = Buffer.alloc(Math.min(HEAD, image.size));
  const headEnd = Math.max(
    0,
    ...image.ranges.map(({ start, end }) => (start < head.length ? Math.min(end, head.length) : 0)),
  );
  try {
    await device.write(0, head); // zeros
    if (target.kind === 'disk' && target.size - image.size >= OLD_BACKUP) {
      await device.write(target.size - OLD_BACKUP, Buffer.alloc(OLD_BACKUP));
    }
    await sync(handle, target);
    const held: RandomWriter = {
      async write(position, bytes) {
        const kept = Math.max(0, Math.min(bytes.length, head.length - position));
        if (kept > 0) head.set(bytes.subarray(0, kept), position);
        if (kept < bytes.length) await device.write(position + kept, bytes.subarray(kept));
        step.advance(bytes.length);
        signal?.throwIfAborted();
      },
    };
    const writer = rangeWriter(image, held);
    await feed(image, writer);
    writer.end();
    await sync(handle, target);
    signal?.throwIfAborted();
    if (headEnd > 0) await device.write(0, head.subarray(0, headEnd));
    await sync(handle, target);
  } finally {
    step.end();
  }
}

/** A full stop: what the device could not take shows here at the latest. */
async function sync(handle: FileHandle, { path }: FlashTarget): Promise<void> {
  await handle.sync().catch((error: unknown) => {
    throw withPath(error, path);
  });
}

/** Takes the bytes of the image from its start. */
interface RangeWriter {
  /** Bytes at `position`, which follow those before or lie behind a gap that no range reaches into. */
  take(position: number, bytes: Uint8Array): Promise<void>;
  end(): void;
}

/** Writes what lies in ranges, in writes of one size, and compares each range with its digest. */
function rangeWriter({ path, ranges }: FlashImage, device: RandomWriter): RangeWriter {
  const buffer = Buffer.allocUnsafeSlow(WRITE_SIZE);
  let index = 0;
  let hash = createHash('sha256');
  let filled = 0;
  let at = ranges[0]?.start ?? 0; // next byte that is wanted
  const flush = async () => {
    if (filled > 0) await device.write(at - filled, buffer.subarray(0, filled));
    filled = 0;
  };
  return {
    async take(position, bytes) {
      let done = 0;
      for (let range = ranges[index]; range && done < bytes.length; range = ranges[index]) {
        done = Math.max(done, at - position); // skips what no range wants
        if (done >= bytes.length) return;
        const room = Math.min(WRITE_SIZE - (at % WRITE_SIZE), WRITE_SIZE - filled);
        const count = Math.min(bytes.length - done, range.end - at, room);
        buffer.set(bytes.subarray(done, done + count), filled);
        hash.update(buffer.subarray(filled, filled + count));
        filled += count;
        at += count;
        done += count;
        if (at === range.end || at % WRITE_SIZE === 0 || filled === WRITE_SIZE) await flush();
        if (at < range.end) continue;
        if (hash.digest('hex') !== range.sha256) throw changed(path, range);
        hash = createHash('sha256');
        at = ranges[++index]?.start ?? at;
      }
    },
    end() {
      const range = ranges[index];
      if (range) throw changed(path, range);
    },
  };
}

function changed(path: string, { start, end }: RangeDigest): UserError {
  return new UserError(
    'IMAGE_CHANGED',
    `bytes ${start}..${end - 1} of ${path} are not those that were signed: it was changed or cut while it was read`,
    'The device was left without a partition table. Fetch the release again.',
  );
}

async function feed({ path, ranges }: FlashImage, writer: RangeWriter): Promise<void> {
  const compression = await probeCompression(path);
  if (compression !== 'none') {
    let position = 0;
    await decompressTo(path, compression, async (bytes) => {
      await writer.take(position, bytes);
      position += bytes.length;
    });
    return;
  }
  const source = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafeSlow(WRITE_SIZE);
    for (const { start, end } of ranges) {
      for (let at = start; at < end;) {
        const stop = Math.min(end, at - (at % WRITE_SIZE) + WRITE_SIZE);
        const { bytesRead } = await source.read(buffer, 0, stop - at, at);
        if (bytesRead === 0) return; // `end` tells which range is cut
        await writer.take(at, buffer.subarray(0, bytesRead));
        at += bytesRead;
      }
    }
  } finally {
    await source.close();
  }
}

/** Reads every range from the device and compares it with its digest. Errors: FLASH_VERIFY_FAILED, the first range that differs. */
async function readBack(
  target: FlashTarget,
  handle: FileHandle,
  { ranges }: FlashImage,
  { progress, signal }: FlashOptions,
): Promise<void> {
  if (target.kind === 'disk') await forgetCache(target, progress);
  const sum = ranges.reduce((bytes, { start, end }) => bytes + end - start, 0);
  const step = progress.start(`reading back ${target.path}`, sum);
  const buffer = Buffer.allocUnsafeSlow(WRITE_SIZE);
  try {
    for (const { start, end, sha256 } of ranges) {
      const hash = createHash('sha256');
      for (let at = start; at < end;) {
        signal?.throwIfAborted();
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
        at += bytesRead;
        step.advance(bytesRead);
      }
      if (hash.digest('hex') === sha256) continue;
      throw new UserError(
        'FLASH_VERIFY_FAILED',
        `${target.path} gives back other bytes than were written, in ${start}..${end - 1} (${formatByteSize(end - start)})`,
        'The card or its reader is worn or fake: take another one.',
      );
    }
  } finally {
    step.end();
  }
}

/** What is read back must come from the device and not from this system's memory (BLKFLSBUF drops its pages). */
async function forgetCache({ path }: FlashTarget, progress: Progress): Promise<void> {
  await runProgram('blockdev', ['--flushbufs', path]).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    progress.warn(`what is read back may come from memory and not from ${path}: ${error.message}`);
  });
}
