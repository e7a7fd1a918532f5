import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MiB, type HandOver } from '@boxship/model';
import { handOverReader, handOverWriter, letReaderCome, newHandOver, type OpenHandOver } from './hand-over.ts';

let open: OpenHandOver;
let handOver: HandOver;
beforeEach(() => {
  open = newHandOver(3)!;
  handOver = open.handOver;
});
afterEach(() => open[Symbol.dispose]());

/** Fills a buffer with a number and offers it. */
function offer(writer: ReturnType<typeof handOverWriter>, position: number, fill: number, length = MiB): Buffer {
  const buffer = writer.take()!;
  buffer.fill(fill);
  writer.offer(buffer, position, length);
  return buffer;
}

describe('buffers between a writer and the reader behind it', () => {
  it('are taken by position, from their middle too, and stay until they are released', () => {
    const [writer, reader] = [handOverWriter(handOver), handOverReader(handOver)];
    const written = [offer(writer, 5 * MiB, 5), offer(writer, 6 * MiB, 6, 4096)];
    expect([reader.take(0), reader.take(6 * MiB + 4096)]).toEqual([undefined, undefined]);
    const first = reader.take(5 * MiB + 100)!;
    expect([first.bytes.length, first.bytes[0]]).toEqual([MiB - 100, 5]);
    expect(reader.take(5 * MiB + 100)).toBeUndefined(); // once
    const second = reader.take(6 * MiB)!;
    expect([second.bytes.length, second.bytes[0]]).toEqual([4096, 6]);
    for (const buffer of written) writer.done(buffer);
    expect(writer.free()).toBe(1);
    first.release();
    expect(writer.free()).toBe(2);
    second.release();
    expect(writer.free()).toBe(3);
  });

  it('are not filled again while the disk takes them, the reader has them, or has still to come', () => {
    const [writer, reader] = [handOverWriter(handOver), handOverReader(handOver)];
    letReaderCome(handOver);
    const written = [offer(writer, 0, 1), offer(writer, MiB, 2), offer(writer, 2 * MiB, 3)];
    expect(writer.take()).toBeUndefined();
    writer.done(written[0]!);
    writer.done(written[1]!);
    expect([writer.free(), writer.take()]).toEqual([0, undefined]);
    const one = reader.take(0)!;
    reader.passed(MiB);
    expect(writer.take()).toBeUndefined();
    one.release();
    expect(writer.take()!.byteOffset).toBe(written[0]!.byteOffset);
    // what the reader has read from the file meanwhile is of no use to it
    reader.passed(2 * MiB);
    expect(writer.take()!.byteOffset).toBe(written[1]!.byteOffset);
    expect(reader.take(MiB)).toBeUndefined();
    expect(reader.take(2 * MiB)!.bytes[0]).toBe(3);
  });

  it('tell where the next one begins', () => {
    const [writer, reader] = [handOverWriter(handOver), handOverReader(handOver)];
    offer(writer, 9 * MiB, 1);
    offer(writer, 4 * MiB, 1);
    expect([reader.nextBetween(0, 10 * MiB), reader.nextBetween(4 * MiB, 9 * MiB)]).toEqual([4 * MiB, undefined]);
    expect(reader.nextBetween(4 * MiB, 9 * MiB + 1)).toBe(9 * MiB);
  });

  it('are filled again when a reader that was on its way does not move: it may wait for this very writer', () => {
    const [writer, reader] = [handOverWriter(handOver), handOverReader(handOver)];
    for (const position of [MiB, 2 * MiB, 3 * MiB]) writer.done(offer(writer, position, 1));
    let now = 1000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    try {
      // what it has to read before is still being written: it is waited for, however long that takes
      for (; now < 5000; now += 100) writer.wait();
      expect(writer.free()).toBe(0);
      letReaderCome(handOver);
      for (const end = now + 200; now < end; now += 100) writer.wait();
      reader.passed(4096); // it moves
      for (const end = now + 200; now < end; now += 100) writer.wait();
      expect(writer.free()).toBe(0);
      for (const end = now + 300; now < end; now += 100) writer.wait();
      expect(writer.free()).toBe(3);
      expect(writer.take()!.byteOffset).toBe(handOver.at); // the lowest
      expect(reader.take(MiB)).toBeUndefined();
      expect(reader.take(2 * MiB)).toBeDefined();
      reader.passed(3 * MiB);
      expect(writer.free()).toBe(0); // it moves again, and is waited for again
    } finally {
      clock.mockRestore();
    }
  });
});
