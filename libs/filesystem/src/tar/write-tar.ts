import type { ContentSource, FileContent, Tree } from '@boxship/model';
import { BLOCK_SIZE } from './header-block.ts';
import { tarHeader } from './tar-header-writer.ts';

const ZEROS = Buffer.alloc(64 * 1024);

/**
 * The tree as a tar stream (ustar, PAX where needed), the same bytes for equal trees. Holes of sparse files are written as
 * zeros. A source is read once as long as its files come in the order of their offsets. Chunks may be reused by sources:
 * copy what you keep. Errors: TAR_UNSUPPORTED_ENTRY for a socket, and those of the sources.
 */
export async function* writeTar(tree: Tree, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = createSequentialReader(signal);
  try {
    for (const entry of tree.entries()) {
      yield tarHeader(entry);
      if (entry.type !== 'file' || entry.size === 0) continue;
      let written = 0;
      for (const { position, offset, length } of contentSegments(entry.content, entry.size)) {
        yield* zeros(position - written);
        yield* reader.read(entry.content!.source, offset, length);
        written = position + length;
      }
      yield* zeros(entry.size - written);
      yield* zeros(-entry.size & (BLOCK_SIZE - 1));
    }
    yield Buffer.alloc(2 * BLOCK_SIZE);
  } finally {
    await reader.close();
  }
}

function contentSegments(content: FileContent | undefined, size: number) {
  if (!content) return [];
  return 'segments' in content ? content.segments : [{ position: 0, offset: content.offset, length: size }];
}

function* zeros(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}

/** Reads ranges of sources; a range further on in the source that is open is reached by reading, not by opening again. */
function createSequentialReader(signal: AbortSignal | undefined) {
  let open: { readonly id: string; readonly chunks: AsyncIterator<Uint8Array> } | undefined;
  let chunk: Uint8Array = ZEROS.subarray(0, 0);
  /** Position in the source of the first byte of `chunk`. */
  let at = 0;
  const close = async () => {
    const { chunks } = open ?? {};
    open = undefined;
    await chunks?.return?.();
  };
  return {
    close,
    async *read(source: ContentSource, offset: number, length: number): AsyncGenerator<Uint8Array> {
      if (open?.id !== source.id || offset < at) {
        await close();
        open = { id: source.id, chunks: source.open(signal)[Symbol.asyncIterator]() };
        chunk = ZEROS.subarray(0, 0);
        at = 0;
      }
      const end = offset + length;
      for (let position = offset; position < end;) {
        if (position >= at + chunk.length) {
          at += chunk.length;
          const next = await open!.chunks.next();
          if (next.done) throw new Error(`${source.id} ends at ${at}, ${end - at} bytes too early`);
          chunk = next.value;
          continue;
        }
        const piece = chunk.subarray(position - at, Math.min(end - at, chunk.length));
        position += piece.length;
        yield piece;
      }
    },
  };
}
