import { createHash, randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { readSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handOverReader, letReaderCome, newDirectWay, newHandOver, runProgram } from '@boxship/host';
import type { DirectWay, HandOver, ScatterTarget } from '@boxship/model';
import { canInflateInPlace } from './inflate-in-place.ts';
import { scatterInThread } from './scatter-in-thread.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-scatter-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Half of it compresses, half does not. */
const plain = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(3_000_001, 'boxship '), randomBytes(1_234_567)]);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function gzip(name: string, ...parts: Uint8Array[]): Promise<string> {
  const path = join(folder, name);
  const members: Buffer[] = [];
  for (const input of parts) members.push((await runProgram('gzip', ['-c'], { input })).stdout);
  await writeFile(path, Buffer.concat(members));
  return path;
}

type Piece = readonly [offset: number, length: number, position: number, zeros: number];

const endOf = (pieces: readonly Piece[]) =>
  Math.max(...pieces.map(([, length, position, zeros]) => position + length + zeros));

/** What the pieces make of `plain`, by hand. */
function expected(pieces: readonly Piece[], start: number): Buffer {
  const bytes = Buffer.alloc(start + endOf(pieces), 0xff);
  for (const [offset, length, position, zeros] of pieces) {
    plain.copy(bytes, start + position, offset, offset + length);
    bytes.fill(0, start + position + length, start + position + length + zeros);
  }
  return bytes;
}

/** Scatters a file over new files full of 0xff, a few pieces in each batch; returns what is in them. */
async function scatter(
  input: {
    path: string;
    gzip?: boolean;
    limit?: number;
    signal?: AbortSignal;
    directWay?: DirectWay;
    handOver?: HandOver;
  },
  ...targets: readonly { start: number; pieces: readonly Piece[]; sequence?: string; content?: string }[]
) {
  const files = await Promise.all(
    targets.map(async ({ start, pieces }, index) => {
      const path = join(folder, `target-${index}`);
      await writeFile(path, Buffer.alloc(start + endOf(pieces), 0xff));
      return { path, handle: await open(path, 'r+') };
    }),
  );
  const pendings: number[][] = targets.map(() => []);
  const written = targets.map(() => 0);
  let bytes = 0;
  try {
    const result = await scatterInThread(
      { path: input.path, gzip: input.gzip ?? true, limit: input.limit ?? plain.length },
      targets.map(({ start, pieces, sequence, content }, index): ScatterTarget => ({
        ...{
          descriptor: files[index]!.handle.fd,
          path: files[index]!.path,
          start,
          directWay: input.directWay,
          handOver: input.handOver,
        },
        pieces: {
          lowest: Math.min(...pieces.map(([, , position]) => position)),
          ...(sequence === undefined ? {} : { run: { sequence, ranges: [] } }),
          ascending: pieces.every(([, , position], at) => at === 0 || position >= pieces[at - 1]![2]),
          *batches() {
            for (let at = 0; at < pieces.length; at += 3) yield Float64Array.from(pieces.slice(at, at + 3).flat());
          },
        },
        onWritten(count, pending) {
          written[index]! += count;
          pendings[index]!.push(pending);
        },
        onContent: () => expect.fail('only who checks the blob tells it'),
        content,
      })),
      { onBytes: (count) => (bytes += count), signal: input.signal },
    );
    return {
      ...result,
      bytes,
      written,
      pendings,
      digests: result.contents,
      contents: await Promise.all(files.map(({ path }) => readFile(path))),
    };
  } finally {
    for (const { handle } of files) await handle.close();
  }
}

const everything: readonly Piece[] = [[0, plain.length, 0, 0]];
/** As an ext4 file system has them: files with holes between them in the stream, padded to blocks. */
const blocks: readonly Piece[] = Array.from({ length: 2000 }, (_, file): Piece => [
  512 + file * 3000,
  2100,
  file * 4096,
  1996,
]);
/** One source twice, side by side and far apart, and the last bytes before the first. */
const overlapping: readonly Piece[] = [
  [0, 5_000_000, 2_000_000, 96],
  [0, 5_000_000, 9_000_000, 0],
  [10, 0, 7_500_000, 4096],
  [4_999_999, 1, 8_000_000, 0],
  [plain.length - 10, 10, 0, 100],
]; // prettier-ignore

describe('a blob that a thread scatters', () => {
  it('can be inflated in place by this Node', () => {
    expect(canInflateInPlace()).toBe(true);
  });

  it('is what gzip made it from, in one member or several, and the file is digested on the way', async () => {
    for (const parts of [[plain], [plain.subarray(0, 2_000_000), plain.subarray(2_000_000)]]) {
      const path = await gzip('whole.gz', ...parts);
      const { stdout } = await runProgram('sha256sum', [path]);
      const done = await scatter({ path }, { start: 0, pieces: everything });
      expect(sha256(done.contents[0]!)).toBe(sha256(plain));
      expect(stdout.toString()).toContain(done.sha256);
      expect([done.total, done.bytes, done.written[0]]).toEqual([plain.length, plain.length, plain.length]);
    }
  });

  it('is read as it is when it is not compressed', async () => {
    const path = join(folder, 'plain');
    await writeFile(path, plain);
    const done = await scatter({ path, gzip: false }, { start: 0, pieces: everything });
    expect(sha256(done.contents[0]!)).toBe(sha256(plain));
    expect(done.sha256).toBe(sha256(plain));
  });

  it('ends with its last member: zeros and what follows them are digested and nothing else', async () => {
    const path = await gzip('tail.gz', plain);
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(600_000), randomBytes(300_000)]));
    const done = await scatter({ path }, { start: 0, pieces: everything });
    expect(sha256(done.contents[0]!)).toBe(sha256(plain));
    expect(done.sha256).toBe(sha256(await readFile(path)));
  });

  it.each([
    ['through the page cache', undefined],
    ['past it', newDirectWay()],
  ])(
    'goes to its places in several files at once, %s, each piece with its zeros, nothing else touched',
    async (_, directWay) => {
      const path = await gzip('places.gz', plain);
      const targets = [{ start: 1000, pieces: blocks }, { start: 0, pieces: overlapping }, { start: 4096, pieces: everything }]; // prettier-ignore
      const done = await scatter({ path, ...(directWay ? { directWay } : {}) }, ...targets);
      for (const [index, { start, pieces }] of targets.entries()) {
        expect(sha256(done.contents[index]!), `target ${index}`).toBe(sha256(expected(pieces, start)));
      }
    },
  );

  it('is digested as each target gets it, once for all that get the same', async () => {
    const path = await gzip('digested.gz', plain);
    // the same files behind one another in two targets; in one of them something lies between, as metadata does
    const cut = (gap: number): readonly Piece[] =>
      blocks.flatMap(
        ([offset, length, position, zeros], index): readonly Piece[] =>
        index < 1000
          ? [[offset, length, position, zeros]]
          : index > 1000
            ? [[offset, length, position + gap, zeros]]
            : [[offset, 1000, position, 0], [offset + 1000, length - 1000, position + 1000 + gap, zeros]], // prettier-ignore
      );
    const done = await scatter(
      { path },
      { start: 0, pieces: cut(0), sequence: 'files' },
      { start: 4096, pieces: cut(1_500_000), sequence: 'files' },
      { start: 0, pieces: everything, sequence: 'all' },
      { start: 0, pieces: overlapping },
      { start: 0, pieces: everything, sequence: 'all', content: 'known to who asks' },
    );
    const [first, second] = done.contents as [Buffer, Buffer];
    const at = 1000 * 4096 + 1000;
    const { stdout } = await runProgram('sha256sum', [], {
      input: Buffer.concat([second.subarray(4096, 4096 + at), second.subarray(4096 + at + 1_500_000)]),
    });
    const digest = stdout.toString().slice(0, 64);
    expect(sha256(first)).toBe(digest);
    expect(done.digests).toEqual([digest, digest, sha256(plain), undefined, 'known to who asks']);
  });

  it.each([['past the page cache', true], ['through it', false]])('is handed to who reads behind, and written %s', async (_, isDirect) => {
    const path = await gzip('handed.gz', plain);
    using open = newHandOver(3)!;
    const { handOver } = open;
    const reader = handOverReader(handOver);
    const way = isDirect ? { directWay: newDirectWay() } : {};
    const work = scatter({ path, ...way, handOver }, { start: 8192, pieces: blocks, sequence: 'files' });
    const whole = expected(blocks, 8192);
    const taken: Buffer[] = [];
    await new Promise((resolve) => setTimeout(resolve, 600)); // the reader is late: the writer waits for it
    letReaderCome(handOver);
    let isOver = false;
    void work.finally(() => (isOver = true));
    let at = 8192;
    for (let idle = 0; idle < 50;) {
      const piece = reader.take(at);
      if (piece) {
        taken.push(Buffer.from(piece.bytes));
        at += piece.bytes.length;
        reader.passed(at);
        piece.release();
      } else {
        idle = isOver ? idle + 50 : 0;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    expect(Buffer.compare(Buffer.concat(taken), whole.subarray(8192))).toBe(0);
    expect(Buffer.compare((await work).contents[0]!, whole)).toBe(0);
  }); // prettier-ignore

  it('is written all the same when who reads behind does not come by', async () => {
    const path = await gzip('alone.gz', plain);
    using open = newHandOver(3)!;
    letReaderCome(open.handOver);
    const done = await scatter({ path, handOver: open.handOver }, { start: 0, pieces: blocks, sequence: 'files' });
    expect(Buffer.compare(done.contents[0]!, expected(blocks, 0))).toBe(0);
  });

  it('says that bytes are final when they are in the file, not while they are on their way', async () => {
    const path = await gzip('behind.gz', Buffer.alloc(60_000_000, 'boxship '));
    const target = join(folder, 'behind');
    await writeFile(target, Buffer.alloc(60_000_000, 0xff));
    const handle = await open(target, 'r+');
    const read = Buffer.alloc(60_000_000);
    let [checked, told] = [0, 0];
    const pieces = { lowest: 0, ascending: true, batches: () => [Float64Array.from([0, 60_000_000, 0, 0])] };
    const onWritten = (_: number, pending: number) => {
      told++;
      const final = Math.min(pending, read.length);
      const length = readSync(handle.fd, read, 0, final - checked, checked);
      expect(read.subarray(0, length).indexOf(0xff)).toBe(-1);
      checked = final;
    };
    const one: ScatterTarget = { descriptor: handle.fd, path: target, start: 0, pieces, onWritten, directWay: newDirectWay() }; // prettier-ignore
    await scatterInThread({ path, gzip: true, limit: 60_000_000 }, [one], { onBytes: () => {} });
    expect([checked, told > 10]).toEqual([60_000_000, true]);
    await handle.close();
  });

  it('tells how far a file is final, and never too much', async () => {
    const path = await gzip('pending.gz', Buffer.alloc(40_000_000, 'boxship '));
    const half: readonly Piece[] = [[0, 20_000_000, 0, 0], [20_000_000, 20_000_000, 30_000_000, 0]]; // prettier-ignore
    const turned: readonly Piece[] = [[0, 20_000_000, 30_000_000, 0], [20_000_000, 20_000_000, 0, 0]]; // prettier-ignore
    const targets = [
      { start: 100, pieces: half },
      { start: 100, pieces: turned },
    ];
    const { pendings } = await scatter({ path, limit: 40_000_000 }, ...targets);
    const [forward, backward] = pendings as [number[], number[]];
    expect(forward.length).toBeGreaterThan(3);
    expect(forward).toEqual([...forward].sort((a, b) => a - b));
    expect(forward[0]).toBeGreaterThan(1_000_000);
    expect(forward[0]).toBeLessThanOrEqual(2_600_000);
    expect(backward.slice(0, -1).every((pending) => pending === 100)).toBe(true);
    expect([forward.at(-1), backward.at(-1)]).toEqual([Infinity, Infinity]);
  });

  it('fails when it is cut off, damaged, missing, or more than it may be', async () => {
    const path = await gzip('good.gz', plain);
    const target = { start: 0, pieces: everything };
    const cut = join(folder, 'cut.gz');
    await runProgram('cp', [path, cut]);
    await runProgram('truncate', ['-s', '-100000', cut]);
    await expect(scatter({ path: cut }, target)).rejects.toThrow(/unexpected end of file/);
    const bad = join(folder, 'bad.gz');
    await runProgram('cp', [path, bad]);
    await runProgram('dd', [`of=${bad}`, 'bs=1', 'seek=3500000', 'conv=notrunc'], { input: Buffer.alloc(64, 0xa5) });
    // what inflating does not see, who knows the blob's digest does
    const { sha256: read, total } = await scatter({ path: bad }, target);
    expect([read, total]).toEqual([sha256(await readFile(bad)), plain.length]);
    const worse = await gzip('worse.gz', Buffer.alloc(9_000_000, 'boxship '));
    await runProgram('dd', [`of=${worse}`, 'bs=1', 'seek=5000', 'conv=notrunc'], { input: Buffer.alloc(64, 0xa5) });
    await expect(scatter({ path: worse, limit: 9_000_000 }, target)).rejects.toThrow(/invalid|incorrect/);
    await expect(scatter({ path: join(folder, 'none.gz') }, target)).rejects.toThrow(/ENOENT/);
    await expect(scatter({ path, limit: plain.length - 1 }, target)).rejects.toThrow(/more than/);
  });

  it('names the file that cannot be written', async () => {
    const path = await gzip('full.gz', plain);
    const handle = await open('/dev/full', 'r+');
    const pieces = { lowest: 0, ascending: true, batches: () => [Float64Array.from(everything[0]!)] };
    const full: ScatterTarget = { descriptor: handle.fd, path: '/dev/full', start: 0, pieces, onWritten: () => {} };
    const work = scatterInThread({ path, gzip: true, limit: plain.length }, [full], { onBytes: () => {} });
    await expect(work).rejects.toMatchObject({ code: 'ENOSPC', path: '/dev/full', syscall: 'write' });
    await handle.close();
  });

  it('leaves nothing with the signal, which outlives the layout of an image', async () => {
    const path = await gzip('signal.gz', plain);
    const { signal } = new AbortController();
    await scatter({ path, signal }, { start: 0, pieces: everything });
    await expect(scatter({ path, limit: 1, signal }, { start: 0, pieces: everything })).rejects.toThrow(/more than/);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('stops when it is told to', async () => {
    const path = await gzip('stop.gz', plain);
    const stop = new AbortController();
    const work = scatter({ path, signal: stop.signal }, { start: 0, pieces: everything });
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(work).rejects.toThrow('enough');
  });
});
