import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { gunzipInThread, type GunzipResult } from './gunzip-thread.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-gunzip-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Half of it compresses, half does not; more than the slots between the threads hold. */
const plain = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(3_000_001, 'boxship '), randomBytes(1_234_567)]);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function gzip(name: string, ...parts: Uint8Array[]): Promise<string> {
  const path = join(folder, name);
  const members: Buffer[] = [];
  for (const input of parts) members.push((await runProgram('gzip', ['-c'], { input })).stdout);
  await writeFile(path, Buffer.concat(members));
  return path;
}

/** What comes out, and what the generator returns; chunks are copied, for they are valid only until the next. */
async function readAll(path: string, limit: number, signal?: AbortSignal) {
  const hash = createHash('sha256');
  const stream = gunzipInThread(path, limit, signal);
  for (;;) {
    const next: IteratorResult<Uint8Array, GunzipResult> = await stream.next();
    if (next.done) return { sha256: hash.digest('hex'), file: next.value.sha256 };
    hash.update(Buffer.from(next.value));
  }
}

describe('a blob inflated in a thread of its own', () => {
  it('is what gzip made it from, in one member or several, and the file is digested on the way', async () => {
    for (const parts of [[plain], [plain.subarray(0, 2_000_000), plain.subarray(2_000_000)]]) {
      const path = await gzip('whole.gz', ...parts);
      const { stdout } = await runProgram('sha256sum', [path]);
      const read = await readAll(path, plain.length);
      expect(read.sha256).toBe(sha256(plain));
      expect(stdout.toString()).toContain(read.file);
    }
  });

  it('may be empty', async () => {
    expect((await readAll(await gzip('empty.gz', Buffer.alloc(0)), 0)).sha256).toBe(sha256(Buffer.alloc(0)));
  });

  it('fails when it is cut off, damaged, missing, or more than it may be', async () => {
    const path = await gzip('good.gz', plain);
    const cut = join(folder, 'cut.gz');
    await runProgram('cp', [path, cut]);
    await runProgram('truncate', ['-s', '-100000', cut]);
    await expect(readAll(cut, plain.length)).rejects.toThrow(/unexpected end of file/);
    const bad = join(folder, 'bad.gz');
    await runProgram('cp', [path, bad]);
    await runProgram('dd', [`of=${bad}`, 'bs=1', 'seek=3500000', 'conv=notrunc'], { input: Buffer.alloc(64, 0xa5) });
    await expect(readAll(bad, plain.length)).rejects.toThrow();
    await expect(readAll(join(folder, 'none.gz'), 1)).rejects.toThrow(/ENOENT/);
    await expect(readAll(path, plain.length - 1)).rejects.toThrow(/more than/);
  });

  it('stops when it is told to, and when nobody reads on', async () => {
    const path = await gzip('stop.gz', plain);
    const stop = new AbortController();
    const reading = readAll(path, plain.length, stop.signal);
    stop.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    for await (const chunk of gunzipInThread(path, plain.length, undefined)) {
      expect(chunk.length).toBeGreaterThan(0);
      break; // the thread waits for a slot now, and must end all the same
    }
  });
});
