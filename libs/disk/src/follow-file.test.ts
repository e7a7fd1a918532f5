import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync, ftruncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  handOverWriter,
  letReaderCome,
  newDirectWay,
  newHandOver,
  openDirectFile,
  pageAlignedBuffer,
} from '@boxship/host';
import { MiB } from '@boxship/model';
import { digestImage, writtenMark } from './digest-image.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'boxship-follow-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SIZE = 9 * MiB + 12_345;
/** Not aligned to anything, one inside a block, one over several reads. */
const ZEROS = [{ start: 700_001, end: 700_301 }, { start: 2 * MiB + 4096, end: 5 * MiB + 512 }]; // prettier-ignore

function content(): Buffer {
  const bytes = randomBytes(SIZE);
  for (const { start, end } of ZEROS) bytes.fill(0, start, end);
  return bytes;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('the digest of a file that goes past the page cache', () => {
  it('is that of its bytes, holes and ends that are no whole blocks included', async () => {
    const bytes = content();
    const path = join(folder, 'whole');
    writeFileSync(path, bytes);
    const mapped = [{ start: 0, end: MiB }, { start: 6 * MiB, end: SIZE }]; // prettier-ignore
    const plain = await digestImage(path, mapped);
    expect(plain.sha256).toBe(sha256(bytes));
    const parts = [[{ start: 4096, end: MiB + 77 }, { start: 8 * MiB, end: SIZE }]]; // prettier-ignore
    const direct = await digestImage(path, mapped, { zeros: ZEROS, parts, directWay: newDirectWay() });
    expect(direct).toEqual({ ...plain, parts: direct.parts });
    expect(direct.parts).toEqual([sha256(Buffer.concat([bytes.subarray(4096, MiB + 77), bytes.subarray(8 * MiB)]))]);
  });

  it('never reads what is not final yet, whichever way it comes', async () => {
    const bytes = content();
    const path = join(folder, 'growing');
    const descriptor = openSync(path, 'w+');
    ftruncateSync(descriptor, SIZE);
    const [directWay, written] = [newDirectWay(), writtenMark()];
    const digests = digestImage(path, [{ start: 0, end: SIZE }], { zeros: ZEROS, directWay, written });
    using file = openDirectFile(descriptor, path, 'write', directWay);
    const block = pageAlignedBuffer(MiB);
    for (let at = 0; at < SIZE; at += MiB) {
      const end = Math.min(SIZE, at + MiB);
      // something else is there first: who reads too early gets it
      writeSync(descriptor, Buffer.alloc(end - at, 0xee), 0, end - at, at);
      await sleep(5);
      bytes.copy(block, 0, at, end);
      file.writeSync(block.subarray(0, end - at), at);
      written.advance(end - 100 > at && end < SIZE ? end - 100 : end);
    }
    expect((await digests).sha256).toBe(sha256(bytes));
    closeSync(descriptor);
  });

  it.each([['past the page cache', true], ['through it', false]])('takes from memory what its writer still has there, and the rest %s', async (_, isDirect) => {
    const bytes = content();
    const path = join(folder, 'handed-over');
    // begins and ends within a read, and goes beyond a hole
    const [from, to] = [MiB + 12 * 4096, 7 * MiB + 4096] as const;
    writeFileSync(path, Buffer.concat([bytes.subarray(0, from), Buffer.alloc(to - from, 0xee), bytes.subarray(to)]));
    using open = newHandOver(4)!;
    const { handOver } = open;
    const writer = handOverWriter(handOver);
    const written = writtenMark(handOver);
    const directWay = isDirect ? newDirectWay() : undefined;
    const digests = digestImage(path, [{ start: 0, end: SIZE }], { zeros: ZEROS, written, directWay, handOver });
    written.advance(from);
    letReaderCome(handOver);
    for (let at: number = from; at < to;) {
      const end = Math.min(to, at + (at % 3 === 0 ? MiB : MiB / 2));
      const inHole = ZEROS.find((zero) => at >= zero.start && at < zero.end);
      if (inHole) {
        at = inHole.end; // nobody writes it
        continue;
      }
      const stop = Math.min(end, ...ZEROS.filter(({ start }) => start > at).map(({ start }) => start));
      const buffer = writer.take();
      if (!buffer) {
        await sleep(1);
        continue;
      }
      bytes.copy(buffer, 0, at, stop);
      writer.offer(buffer, at, stop - at);
      writer.done(buffer);
      at = stop;
    }
    written.advance(SIZE);
    expect((await digests).sha256).toBe(sha256(bytes)); // the file alone has others
  }); // prettier-ignore

  it('fails when the file is cut off meanwhile', async () => {
    const path = join(folder, 'cut');
    writeFileSync(path, Buffer.alloc(3 * MiB, 1));
    const written = writtenMark();
    const digests = digestImage(path, [], { directWay: newDirectWay(), written });
    await sleep(200); // the thread has its size
    const descriptor = openSync(path, 'r+');
    ftruncateSync(descriptor, MiB);
    closeSync(descriptor);
    written.advance(3 * MiB);
    await expect(digests).rejects.toThrow(/cut ends at \d+ while it is read/);
  });
});
