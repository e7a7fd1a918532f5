import { mkdtempSync, rmSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as host from '@boxship/host';
import { ownBuffers, targetWriter, WRITER_BUFFER } from './target-writer.ts';

vi.mock('@boxship/host', { spy: true });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'boxship-writer-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => void vi.mocked(host.openDirectFile).mockReset());

/** A file whose writes past the page cache end when they are told to. */
function heldFile() {
  const held: { readonly end: (error?: Error) => void }[] = [];
  vi.mocked(host.openDirectFile).mockReturnValue({
    isDirect: () => true,
    write: ({ length }: Uint8Array) =>
      new Promise<number>((resolve, reject) => {
        held.push({ end: (error) => (error ? reject(error) : resolve(length)) });
      }),
    writeSync: ({ length }: Uint8Array) => length,
    readSync: () => 0,
    read: () => Promise.resolve(0),
    [Symbol.dispose]() {},
  });
  return held;
}

const target = { descriptor: 0, path: '/somewhere', directWay: undefined };

describe('a writer of buffers', () => {
  it('has no more writes under way than it may, and no buffer twice', async () => {
    const held = heldFile();
    const writer = targetWriter(target, ownBuffers(Buffer.alloc(3 * WRITER_BUFFER)), 2);
    const first = writer.newBuffer()!;
    const second = writer.write(first, 5 * WRITER_BUFFER, WRITER_BUFFER);
    const third = writer.write(second, 2 * WRITER_BUFFER, WRITER_BUFFER);
    expect(new Set([first, second, third].map(({ byteOffset }) => byteOffset)).size).toBe(3);
    expect([writer.underWay(), writer.lowest(), writer.takeWritten()]).toEqual([2, 2 * WRITER_BUFFER, 0]);
    expect(writer.write(third, 0, 4096)).toBe(third); // written at once, and free again
    expect([writer.underWay(), writer.takeWritten()]).toEqual([2, 4096]);

    const done = writer.underWayAtMost(1);
    held[1]!.end();
    await done;
    expect([writer.lowest(), writer.takeWritten()]).toEqual([5 * WRITER_BUFFER, WRITER_BUFFER]);
    held[0]!.end();
    await writer.underWayAtMost(0);
    expect([writer.lowest(), writer.takeWritten()]).toEqual([Infinity, WRITER_BUFFER]);
  });

  it('tells of a full disk, with the path, when it is waited for', async () => {
    const held = heldFile();
    const writer = targetWriter(target, ownBuffers(Buffer.alloc(3 * WRITER_BUFFER)), 2);
    writer.write(writer.newBuffer()!, 0, WRITER_BUFFER);
    held[0]!.end(Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' }));
    await expect(writer.underWayAtMost(0)).rejects.toMatchObject({ code: 'ENOSPC', path: '/somewhere' });
    expect(writer.takeWritten()).toBe(0);
  });

  it('writes to a real file, one way or the other', async () => {
    const path = join(folder, 'file');
    const handle = await open(path, 'w+');
    const writer = targetWriter(
      { descriptor: handle.fd, path, directWay: host.newDirectWay() },
      ownBuffers(host.pageAlignedBuffer(2 * WRITER_BUFFER)),
      1,
    );
    let buffer = writer.newBuffer()!;
    for (const at of [0, 1, 2]) {
      buffer.fill(at + 1);
      buffer = writer.write(buffer, at * WRITER_BUFFER, at === 2 ? 77 : WRITER_BUFFER);
    }
    await writer.underWayAtMost(0);
    writer[Symbol.dispose]();
    await handle.close();
    const expected = [Buffer.alloc(WRITER_BUFFER, 1), Buffer.alloc(WRITER_BUFFER, 2), Buffer.alloc(77, 3)];
    expect((await readFile(path)).equals(Buffer.concat(expected))).toBe(true);
  });
});
