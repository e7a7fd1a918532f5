import { bytesSource, type TreeEntry } from '@boxship/model';
import { writeTar } from '@boxship/filesystem';

export interface SyntheticLayer {
  /** Regular files; their folders, 100 files each, come on top. */
  readonly files: number;
  /** Mean size of a file in bytes; sizes vary by a half. */
  readonly fileSize: number;
  /** Another seed makes other bytes; the same one the same bytes, everywhere. */
  readonly seed?: number;
}

const TEXT = 1 << 20;

/**
 * The tar of a layer that looks like an installed program: many text files that compress about three-fold. For tests and
 * measurements. Holds nothing but 1 MiB of text, however large the layer.
 */
export function syntheticLayer(options: SyntheticLayer): AsyncIterable<Uint8Array> {
  return joinChunks(writeTar({ entries: () => syntheticEntries(options) }), 256 * 1024);
}

function* syntheticEntries({ files, fileSize, seed = 1 }: SyntheticLayer): Generator<TreeEntry> {
  const next = xorshift(seed);
  const text = bytesSource('text', makeText(next));
  const folder = (path: string): TreeEntry => ({ ...ATTRIBUTES, path, type: 'directory', mode: 0o755, size: 0 });
  yield folder('opt');
  for (let i = 0; i < files; i++) {
    const path = `opt/package-${Math.floor(i / 100)}`;
    if (i % 100 === 0) yield folder(path);
    const size = Math.min(TEXT, Math.floor(fileSize / 2 + next() * fileSize));
    const content = { source: text, offset: Math.floor(next() * (TEXT - size)) };
    yield {
      ...ATTRIBUTES,
      path: `${path}/module-${i % 100}.js`,
      type: 'file',
      mode: 0o644,
      size,
      ...(size > 0 ? { content } : {}),
    };
  }
}

const ATTRIBUTES = { uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNanoseconds: 0 };

/** Words of a small vocabulary, so that it compresses as program text does. */
function makeText(next: () => number): Buffer {
  const words = Array.from({ length: 2000 }, () =>
    Array.from({ length: 2 + next() * 10 }, () => String.fromCharCode(97 + next() * 26)).join(''),
  );
  const text = Buffer.alloc(TEXT, 10);
  for (let at = 0; at < TEXT;) at += text.write(`${words[Math.floor(next() ** 2 * words.length)]!} `, at, 'latin1');
  return text;
}

/** Numbers in [0, 1) (Marsaglia, xorshift32). */
function xorshift(seed: number): () => number {
  let state = seed || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The same bytes in chunks of `size`: a layer of small files is made of pieces of half a kilobyte. */
async function* joinChunks(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const length = Math.min(chunk.length - at, size - filled);
      buffer.set(chunk.subarray(at, at + length), filled);
      filled += length;
      at += length;
      if (filled < size) continue;
      yield buffer;
      buffer = Buffer.allocUnsafe(size);
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}
