import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { isPageAligned } from './page-aligned.ts';
import { memoryMover, sharedBytes, shareMemory, type SharedBlock } from './shared-memory.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const plain = ({ memory, at, size }: SharedBlock) => ({ memory, at, size });

describe('memory that threads have in common', () => {
  it('is given out in blocks that begin at pages and are apart; what is given back is given out again', () => {
    const first = shareMemory(100 * KiB)!;
    const second = shareMemory(64 * KiB)!;
    expect([first.at % 4096, first.size, second.at]).toEqual([0, 128 * KiB, first.at + 128 * KiB]);
    sharedBytes(first).fill(1);
    sharedBytes(second).fill(2);
    expect(sharedBytes(first).indexOf(2)).toBe(-1);
    expect(isPageAligned(sharedBytes(second))).toBe(true);
    first[Symbol.dispose]();
    const [small, large] = [shareMemory(1)!, shareMemory(MiB)!];
    expect([small.at, large.at]).toEqual([first.at, second.at + 64 * KiB]);
    for (const block of [second, small, large]) block[Symbol.dispose]();
    using again = shareMemory(1)!;
    expect([again.at, again.memory === first.memory]).toEqual([0, false]); // nobody had a block: the memory was let go
  });

  it('ends somewhere', () => {
    expect(shareMemory(257 * MiB)).toBeUndefined();
    using block = shareMemory(KiB);
    expect(shareMemory(256 * MiB)).toBeUndefined();
    expect(block).toBeDefined();
  });

  it('moves bytes as Buffer does, from and to any place', () => {
    using block = shareMemory(MiB)!;
    const bytes = sharedBytes(plain(block));
    const expected = randomBytes(MiB);
    expected.copy(bytes);
    const mover = memoryMover(block.memory);
    for (const [to, from, count] of [[500_001, 3, 77_777], [0, 65_536, 4096], [10, 14, 100_000], [5, 5, 0]] as const) {
      mover.copy(block.at + to, block.at + from, count);
      expected.copy(expected, to, from, from + count);
    } // prettier-ignore
    mover.zero(block.at + 4097, 30_001);
    expected.fill(0, 4097, 4097 + 30_001);
    expect(Buffer.compare(bytes, expected)).toBe(0);
    expect(() => mover.copy(MiB * 300, 0, 1)).toThrow(/out of bounds/);
  });

  it('is what another thread sees', async () => {
    using block = shareMemory(64 * KiB)!;
    const program = `const { workerData: { memory, at }, parentPort } = require('node:worker_threads');
      Buffer.from(memory.buffer, at, 5).write('hello'); parentPort.postMessage('done');`;
    const worker = new Worker(program, { eval: true, workerData: plain(block) });
    await new Promise((resolve) => worker.once('message', resolve));
    expect(sharedBytes(block).toString('latin1', 0, 5)).toBe('hello');
    await worker.terminate();
  });
});
