import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { MiB } from '@boxship/model';
import { CutShort, Damaged } from './byte-source.ts';

/** One stream of an .xz file; `xz` writes one, but files may be joined (The .xz File Format 1.2.1, section 2). */
interface XzStream {
  readonly start: number;
  readonly end: number;
  /** Bytes that it holds. */
  readonly content: number;
}

const HEADER_MAGIC = Buffer.from('fd377a585a00', 'hex');
/** Header and footer: 12 bytes each (sections 2.1.1 and 2.1.2). */
const EDGE = 12;
/** An index has some 6 bytes a block; enough for 10 million blocks. */
const MAX_INDEX = 64 * MiB;
/** Kinds of checksum the decoder knows: none, CRC32, CRC64. SHA-256 (10) is for archives that nobody makes. */
const CHECKS = new Set([0, 1, 4]);

/**
 * Writes what an .xz file holds to `sink`. The indexes at the end of its streams are read first, so that a file that
 * was cut short is known before anything is decompressed; checksums of blocks are checked by the decoder.
 */
export async function decompressXz(
  handle: FileHandle,
  size: number,
  sink: (bytes: Uint8Array) => Promise<void>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { XzReadableStream } = await import('xz-decompress'); // brings Node's web streams: 5 ms of every start
  for (const stream of await findStreams(handle, size)) {
    let content = 0;
    const reader = new XzReadableStream(streamBytes(handle, stream, onBytes)).getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        content += next.value.length;
        await sink(next.value);
      }
    } catch (error) {
      // The decoder holds a lock for the whole process: it must be let go when it was the sink that failed.
      await reader.cancel().catch(() => {});
      throw error instanceof Error && /error code \d/.test(error.message) ? new Damaged(explain(error.message)) : error;
    }
    if (content !== stream.content) {
      throw new Damaged(`stream at byte ${stream.start} has ${content} bytes, its index says ${stream.content}`);
    }
  }
}

/** xz-embedded's `enum xz_ret` (linux/xz.h). */
function explain(message: string): string {
  const code = Number(/error code (\d)/.exec(message)?.[1]);
  const reasons = ['', '', 'unknown kind of checksum', 'no memory', 'dictionary too large', 'not xz', 'unknown filter'];
  return reasons[code] || 'its checksums do not match its bytes';
}

function streamBytes(handle: FileHandle, { start, end }: XzStream, onBytes: (bytes: number) => void) {
  let at = start;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // The decoder asks once more before it tells the end; it fails by itself when more was due.
        if (at >= end) return controller.close();
        const bytes = await readAt(handle, at, Math.min(256 * 1024, end - at));
        at += bytes.length;
        onBytes(bytes.length);
        controller.enqueue(bytes);
      },
    },
    { highWaterMark: 0 },
  );
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new CutShort(`ends at byte ${position + done}, where ${length - done} more are due`);
    done += bytesRead;
  }
  return bytes;
}

/** The streams of the file, first to last, found from its end (section 2.1.2: Backward Size). */
async function findStreams(handle: FileHandle, size: number): Promise<XzStream[]> {
  const streams: XzStream[] = [];
  let end = size;
  while (end > 0) {
    if (end % 4 !== 0 || end < 2 * EDGE) throw new CutShort(`ends at byte ${size}, within a stream`);
    const footer = await readAt(handle, end - EDGE, EDGE);
    if (footer.readUInt32LE(8) === 0) {
      end -= 4; // stream padding: zeros, four at a time (section 2.2)
      continue;
    }
    if (footer.toString('latin1', 10) !== 'YZ' || footer.readUInt32LE(0) !== crc32(footer.subarray(4, 10))) {
      throw new CutShort(`ends at byte ${end} without the footer of a stream`);
    }
    const indexSize = (footer.readUInt32LE(4) + 1) * 4;
    const indexStart = end - EDGE - indexSize;
    if (indexSize > MAX_INDEX || indexStart < EDGE)
      throw new Damaged(`its footer says that the index has ${indexSize} bytes`);
    const { blocks, content } = readIndex(await readAt(handle, indexStart, indexSize));
    const start = indexStart - blocks - EDGE;
    if (start < 0) throw new CutShort(`its index names ${blocks} bytes of blocks, ${indexStart - EDGE} are there`);
    const header = await readAt(handle, start, EDGE);
    if (!header.subarray(0, 6).equals(HEADER_MAGIC)) throw new Damaged(`no stream header at byte ${start}`);
    if (!CHECKS.has(header[7]! & 15)) {
      throw new Damaged('its kind of checksum is not supported: compress it with "xz --check=crc64"');
    }
    streams.unshift({ start, end, content });
    end = start;
  }
  return streams;
}

/** Sizes of all blocks, padded, and of what they hold (section 4). */
function readIndex(index: Buffer): { blocks: number; content: number } {
  const checked = index.length - 4;
  if (index[0] !== 0 || index.readUInt32LE(checked) !== crc32(index.subarray(0, checked))) {
    throw new Damaged('the checksum of its index does not match');
  }
  let at = 1;
  const number = (): number => {
    let value = 0;
    for (let shift = 1; at < checked; shift *= 128) {
      const byte = index[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    throw new Damaged('its index ends within a number');
  };
  let blocks = 0;
  let content = 0;
  for (let left = number(); left > 0; left--) {
    blocks += Math.ceil(number() / 4) * 4;
    content += number();
  }
  return { blocks, content };
}
