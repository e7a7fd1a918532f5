import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PIECE_NUMBERS, type ContentSource, type Tree, type TreeEntry } from '@boxship/model';
import { planTar } from './plan-tar.ts';
import { writeTar } from './write-tar.ts';

const common = { mode: 0o644, uid: 1, gid: 2, mtime: 1_700_000_000, mtimeNanoseconds: 5 };

/** A source of these bytes in chunks of a length that fits nothing. */
function source(id: string, length: number): ContentSource & { readonly bytes: Buffer } {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 32) createHash('sha256').update(`${id}${at}`).digest().copy(bytes, at);
  return {
    id,
    size: length,
    bytes,
    async *open() {
      for (let at = 0; at < length; at += 777) yield bytes.subarray(at, Math.min(length, at + 777));
    },
  };
}

function sample(): { readonly tree: Tree; readonly sources: readonly (ContentSource & { bytes: Buffer })[] } {
  const [one, two] = [source('one', 50_000), source('two', 9000)];
  const file = (path: string, from: ContentSource, offset: number, size: number): TreeEntry => ({
    ...common,
    path,
    type: 'file',
    size,
    ...(size > 0 ? { content: { source: from, offset } } : {}),
  });
  const entries: TreeEntry[] = [
    { ...common, path: '', type: 'directory', size: 0 },
    file('b', one, 0, 1000),
    file('a-name-'.repeat(30), two, 100, 513),
    file('c', one, 1000, 30_000),
    file('same-bytes-again', one, 500, 2000), // out of order, and it overlaps
    file('empty', one, 0, 0),
    { ...common, path: 'device', type: 'characterDevice', size: 0, major: 5, minor: 1 },
    { ...common, path: 'link', type: 'symlink', size: 0, link: 'b' },
    { ...common, path: 'hard', type: 'hardlink', size: 0, link: 'b' },
    {
      ...common,
      path: 'sparse',
      type: 'file',
      size: 20_000,
      xattrs: [{ name: 'user.x', value: Buffer.from('y') }],
      content: {
        source: one,
        segments: [{ position: 4096, offset: 40_000, length: 3000 }, { position: 19_999, offset: 49_999, length: 1 }],
      },
    },
  ]; // prettier-ignore
  return { tree: { entries: () => entries }, sources: [one, two] };
}

async function written(tree: Tree): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(tree)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('a planned tar archive', () => {
  it('is the archive that writeTar writes, from streams in any order', async () => {
    const { tree } = sample();
    const expected = await written(tree);
    const plan = planTar(tree);
    expect(plan.size).toBe(expected.length);
    const bytes = Buffer.alloc(plan.size);
    const target = { write: async (position: number, chunk: Uint8Array) => bytes.set(chunk, position) };
    for (const one of [...plan.sources()].reverse()) {
      const writer = plan.contentWriter(one, target);
      for await (const chunk of one.open()) await writer.write(chunk);
      await writer.end();
      expect(writer.pending()).toBe(Infinity);
    }
    await plan.writeMetadata(target);
    expect(bytes.equals(expected)).toBe(true);
  });

  it('is the same from sources that scatter their bytes themselves', async () => {
    const { tree, sources } = sample();
    const plan = planTar(tree);
    const bytes = Buffer.alloc(plan.size);
    await plan.writeMetadata({ write: async (position, chunk) => bytes.set(chunk, position) });
    for (const one of sources) {
      let before = -1;
      for (const batch of plan.contentPieces(one).batches()) {
        for (let i = 0; i < batch.length; i += PIECE_NUMBERS) {
          const [offset, length, position] = batch.subarray(i) as unknown as [number, number, number];
          expect(offset).toBeGreaterThanOrEqual(before);
          before = offset;
          one.bytes.copy(bytes, position, offset, offset + length);
        }
      }
    }
    expect(bytes.equals(await written(tree))).toBe(true);
  });

  it('says so when a source ends too early', async () => {
    const { tree } = sample();
    const plan = planTar(tree);
    const [one] = plan.sources();
    const writer = plan.contentWriter(one!, { write: async () => {} });
    await writer.write(Buffer.alloc(10));
    await expect(writer.end()).rejects.toThrow(/one ends at 10/);
  });
});
