import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { directWriter, newDirectWay, openDirectFile, type DirectFile } from './direct-file.ts';
import { pageAlignedBuffer } from './page-aligned.ts';

const MiB = 1024 * 1024;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'boxship-direct-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => void vi.restoreAllMocks());

/** The file system of temporary files may have no direct I/O: some tests then have nothing to look at. */
const hasNone = (() => {
  const path = mkdtempSync(join(tmpdir(), 'boxship-direct-'));
  try {
    closeSync(openSync(join(path, 'file'), constants.O_CREAT | constants.O_WRONLY | (constants.O_DIRECT ?? 0)));
    return constants.O_DIRECT === undefined;
  } catch {
    return true;
  } finally {
    rmSync(path, { recursive: true });
  }
})();
const whereThereIsOne = it.skipIf(hasNone && !process.env['CI']);

/** Memory that direct I/O takes, full of random bytes. */
function aligned(size: number): Buffer {
  const bytes = pageAlignedBuffer(size);
  randomBytes(size).copy(bytes);
  return bytes;
}

/** Calls `work` with a file of that size, open for reading and writing. */
async function withFile(name: string, size: number, work: (descriptor: number, path: string) => Promise<void> | void) {
  const path = join(folder, name);
  const descriptor = openSync(path, 'w+');
  try {
    ftruncateSync(descriptor, size);
    await work(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes of 1 MiB that are timed, each by two calls on the clock, before a flush is. */
const PROBES = 32;

/** The clock of `openDirectFile`: each call so many nanoseconds after the one before, and the flush takes `flush`. */
function clockOf(step: bigint, flush = step): void {
  let [now, calls] = [1n, 0];
  vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => (now += ++calls === 2 * PROBES + 2 ? flush : step));
}

const writeProbes = (file: DirectFile) => {
  const bytes = aligned(MiB);
  for (let at = 0; at < PROBES; at++) file.writeSync(bytes, at * MiB);
};

describe('a file past the page cache', () => {
  whereThereIsOne('holds what both ways wrote, whole blocks and others', async () => {
    const [large, odd] = [aligned(2 * MiB), randomBytes(5000)];
    await withFile('both', 4 * MiB, async (descriptor, path) => {
      const way = newDirectWay();
      using file = openDirectFile(descriptor, path, 'write', way);
      expect(file.isDirect()).toBe(true);
      const writer = directWriter(file, path);
      await writer.write(4096, large);
      await writer.write(4096 + 2 * MiB, odd); // no whole blocks, and memory that begins anywhere
      expect(file.writeSync(large.subarray(0, MiB), 3 * MiB - 4096)).toBe(MiB);
      const bytes = readFileSync(path);
      expect(bytes.subarray(4096, 3 * MiB - 4096).equals(Buffer.concat([large, odd, Buffer.alloc(MiB)]).subarray(0, 3 * MiB - 8192))).toBe(true); // prettier-ignore
      expect(bytes.subarray(3 * MiB - 4096, 4 * MiB - 4096).equals(large.subarray(0, MiB))).toBe(true);

      using reader = openDirectFile(descriptor, path, 'read', way);
      const [read, short] = [pageAlignedBuffer(2 * MiB), Buffer.alloc(100)];
      expect(await reader.read(read, 4096)).toBe(2 * MiB);
      expect(read.equals(large)).toBe(true);
      expect(reader.readSync(short, 4096 + 2 * MiB)).toBe(100);
      expect(short.equals(odd.subarray(0, 100))).toBe(true);
      expect(await reader.read(read, 3 * MiB)).toBe(MiB); // to the end
      expect(reader.readSync(read, 4 * MiB)).toBe(0);
    });
  });

  it('sees at once what was written through the page cache, and the other way round', async () => {
    await withFile('coherent', MiB, (descriptor, path) => {
      const [first, second, found] = [aligned(MiB), aligned(MiB), pageAlignedBuffer(MiB)];
      const way = newDirectWay();
      using writer = openDirectFile(descriptor, path, 'write', way);
      using reader = openDirectFile(descriptor, path, 'read', way);
      using cached = openDirectFile(descriptor, path, 'write', undefined);
      cached.writeSync(first, 0);
      reader.readSync(found, 0);
      expect(found.equals(first)).toBe(true);
      writer.writeSync(second, 0);
      expect(readFileSync(path).equals(second)).toBe(true);
    });
  });

  whereThereIsOne(
    'is left by all as soon as a writer finds its disk slow, and kept by all when it is quick',
    async () => {
      await withFile('slow', PROBES * MiB, (descriptor, path) => {
        clockOf(3_000_000n); // 1 MiB in 3 ms
        const way = newDirectWay();
        using writer = openDirectFile(descriptor, path, 'write', way);
        using reader = openDirectFile(descriptor, path, 'read', way);
        writeProbes(writer);
        expect([writer.isDirect(), reader.isDirect()]).toEqual([false, false]);
        using later = openDirectFile(descriptor, path, 'write', way);
        expect(later.isDirect()).toBe(false);
        vi.restoreAllMocks();
        expect(later.writeSync(aligned(MiB), 0)).toBe(MiB);

        clockOf(500_000n);
        const quick = newDirectWay();
        using first = openDirectFile(descriptor, path, 'write', quick);
        writeProbes(first);
        vi.restoreAllMocks();
        clockOf(30_000_000n); // it waits for a core now
        using second = openDirectFile(descriptor, path, 'write', quick);
        writeProbes(second);
        expect([first.isDirect(), second.isDirect()]).toEqual([true, true]);
      });
    },
  );

  whereThereIsOne('is left when the disk takes writes at once and is slow to flush them', async () => {
    await withFile('flush', PROBES * MiB, (descriptor, path) => {
      const found = (flush: bigint) => {
        clockOf(500_000n, flush); // 2 GiB/s
        using file = openDirectFile(descriptor, path, 'write', newDirectWay());
        writeProbes(file);
        vi.restoreAllMocks();
        return file.isDirect();
      };
      expect([found(20_000_000n), found(30_000_000n), found(200_000_000n)]).toEqual([true, false, false]);
    });
  });

  it('goes the ordinary way where there is no other', async () => {
    const way = newDirectWay();
    const descriptor = openSync('/dev/null', 'w');
    try {
      using none = openDirectFile(descriptor, '/dev/null', 'write', way);
      expect(none.isDirect()).toBe(false);
      expect(none.writeSync(aligned(MiB), 0)).toBe(MiB);
      expect(openDirectFile(descriptor, '/dev/null', 'write', undefined).isDirect()).toBe(false);
    } finally {
      closeSync(descriptor);
    }
    expect(() => openDirectFile(0, join(folder, 'nowhere'), 'read', newDirectWay())).toThrow(/ENOENT/);
  });

  it('names the file that cannot be written', async () => {
    const path = join(folder, 'read-only');
    writeFileSync(path, 'x');
    const descriptor = openSync(path, 'r');
    try {
      using file = openDirectFile(descriptor, path, 'write', undefined);
      await expect(directWriter(file, path).write(0, aligned(MiB))).rejects.toMatchObject({ code: 'EBADF', path });
    } finally {
      closeSync(descriptor);
    }
  });
});
