import {
  alignUp,
  PIECE_NUMBERS,
  type ContentPieces,
  type ContentSource,
  type RandomWriter,
  type Tree,
  type TreeEntry,
} from '@boxship/model';
import type { ContentWriter } from '../ext4/content-writer.ts';
import { WriteBuffer } from '../ext4/write-buffer.ts';
import { BLOCK_SIZE } from './header-block.ts';
import { tarHeader } from './tar-header-writer.ts';

/** A tar archive whose every byte has its place before one is written: contents may come in any order of their sources. */
export interface TarPlan {
  readonly size: number;
  /** The sources whose bytes are needed, each once, in the order in which the tree names them. */
  sources(): readonly ContentSource[];
  /** Writes the headers; what is not written must read as zeros. */
  writeMetadata(target: RandomWriter): Promise<void>;
  /** Spreads the stream of one source over its places. */
  contentWriter(source: ContentSource, target: RandomWriter): ContentWriter;
  /** The same places, for a source that scatters its bytes itself. */
  contentPieces(source: ContentSource): ContentPieces;
}

/** Places of a source's bytes: position in the stream, length, position in the archive. A million files are three arrays. */
interface Pieces {
  readonly source: ContentSource;
  readonly offsets: number[];
  readonly lengths: number[];
  readonly targets: number[];
}

/** Pieces of one batch: 256 KiB of numbers. */
const BATCH = 8192;
/** Most bytes that are handed to the buffer at once. */
const PIECE = 1 << 20;

/** Lays out the tree as `writeTar` writes it, byte for byte. Errors: TAR_UNSUPPORTED_ENTRY for a socket. */
export function planTar(tree: Tree): TarPlan {
  const bySource = new Map<string, Pieces>();
  let position = 0;
  for (const { entry, data } of placed(tree)) {
    position = data + alignUp(dataSize(entry), BLOCK_SIZE);
    if (entry.type !== 'file' || !entry.content) continue;
    const { content, size } = entry;
    const segments = 'segments' in content ? content.segments : [{ position: 0, offset: content.offset, length: size }];
    const pieces = bySource.get(content.source.id) ?? { source: content.source, offsets: [], lengths: [], targets: [] };
    bySource.set(content.source.id, pieces);
    for (const segment of segments) {
      if (segment.length === 0) continue;
      pieces.offsets.push(segment.offset);
      pieces.lengths.push(segment.length);
      pieces.targets.push(data + segment.position);
    }
  }
  const sorted = [...bySource.values()].filter(({ offsets }) => offsets.length > 0).map(inOrderOfOffsets);
  const piecesOf = new Map(sorted.map((pieces) => [pieces.source.id, pieces]));
  return {
    size: position + 2 * BLOCK_SIZE,
    sources: () => sorted.map(({ source }) => source),
    async writeMetadata(target) {
      const out = new WriteBuffer(target);
      for (const { header, data } of placed(tree)) {
        const wait = out.add(data - header.length, header, 0, header.length);
        if (wait) await wait;
      }
      await out.end();
    },
    contentWriter: (source, target) => openWriter(piecesOf.get(source.id), target),
    contentPieces: (source) => batchesOf(piecesOf.get(source.id)),
  };
}

function dataSize({ type, size }: TreeEntry): number {
  return type === 'file' ? size : 0;
}

/** Every entry with its header and where its data begin. */
function* placed(tree: Tree): Generator<{ entry: TreeEntry; header: Buffer; data: number }> {
  let position = 0;
  for (const entry of tree.entries()) {
    const header = tarHeader(entry);
    const data = position + header.length;
    yield { entry, header, data };
    position = data + alignUp(dataSize(entry), BLOCK_SIZE);
  }
}

function inOrderOfOffsets(pieces: Pieces): Pieces {
  const { source, offsets, lengths, targets } = pieces;
  if (offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]!)) return pieces;
  const order = offsets.map((_, i) => i).sort((a, b) => offsets[a]! - offsets[b]! || a - b);
  const pick = (numbers: readonly number[]) => order.map((i) => numbers[i]!);
  return { source, offsets: pick(offsets), lengths: pick(lengths), targets: pick(targets) };
}

function openWriter(pieces: Pieces | undefined, target: RandomWriter): ContentWriter {
  const { offsets, lengths, targets } = pieces ?? { offsets: [], lengths: [], targets: [] };
  const out = new WriteBuffer(target, lengths.reduce((sum, length) => sum + length, 0)); // prettier-ignore
  let next = 0;
  let position = 0;
  let open: number[] = []; // pieces that go on in the next chunk
  let ended = false;
  return {
    async write(chunk) {
      const end = position + chunk.length;
      while (next < offsets.length && offsets[next]! < end) open.push(next++);
      const more: number[] = [];
      for (const piece of open) {
        const [offset, length] = [offsets[piece]!, lengths[piece]!];
        const stop = Math.min(chunk.length, offset + length - position);
        for (let from = Math.max(0, offset - position); from < stop;) {
          const to = Math.min(stop, from + PIECE);
          const wait = out.add(targets[piece]! + position + from - offset, chunk, from, to);
          if (wait) await wait;
          from = to;
        }
        if (offset + length > end) more.push(piece);
      }
      open = more;
      position = end;
    },
    async end() {
      if (open.length > 0 || next < offsets.length) {
        throw new Error(`${pieces!.source.id} ends at ${position}, before all of its files`);
      }
      await out.end();
      ended = true;
    },
    pending: () => (ended ? Infinity : 0),
  };
}

function batchesOf(pieces: Pieces | undefined): ContentPieces {
  const { offsets, lengths, targets } = pieces ?? { offsets: [], lengths: [], targets: [] };
  let lowest = Infinity;
  let ascending = true;
  targets.forEach((target, i) => {
    lowest = Math.min(lowest, target);
    if (i > 0 && target < targets[i - 1]!) ascending = false;
  });
  return {
    lowest,
    ascending,
    *batches() {
      for (let from = 0; from < offsets.length; from += BATCH) {
        const count = Math.min(BATCH, offsets.length - from);
        const batch = new Float64Array(count * PIECE_NUMBERS);
        for (let i = 0; i < count; i++) {
          batch.set([offsets[from + i]!, lengths[from + i]!, targets[from + i]!, 0], i * PIECE_NUMBERS);
        }
        yield batch;
      }
    },
  };
}
