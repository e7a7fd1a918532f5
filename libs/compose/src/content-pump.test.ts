import { describe, expect, it } from 'vitest';
import type { ContentWriter } from '@boxship/filesystem';
import type { ContentSource, HandOver, ScatterTarget } from '@boxship/model';
import { pumpContents, type Consumer } from './content-pump.ts';

const MIB = 1024 * 1024;

/** A source of `size` bytes in pieces of 1 MiB at most, which notes what happens to it. */
function sourceOf(id: string, size: number, log: string[], fail = false): ContentSource {
  return {
    id,
    size,
    async *open(signal) {
      log.push(`open ${id}`);
      try {
        for (let left = size; left > 0; left -= MIB) {
          signal?.throwIfAborted();
          yield Buffer.alloc(Math.min(left, MIB), id);
          await new Promise((done) => setImmediate(done));
        }
        if (fail) throw new Error(`${id} is damaged`);
      } finally {
        log.push(`close ${id}`);
      }
    },
  };
}

function writerOf(received: { bytes: number; ended: boolean }, limit = Infinity): ContentWriter {
  return {
    async write(chunk: Uint8Array) {
      if (received.bytes + chunk.length > limit) throw new Error('ENOSPC');
      received.bytes += chunk.length;
    },
    async end() {
      received.ended = true;
    },
    pending: () => Infinity,
  } as ContentWriter;
}

const fresh = () => ({ bytes: 0, ended: false });

describe('pumpContents', () => {
  it('reads each source once, for all who want it, in the order given', async () => {
    const log: string[] = [];
    const [a, b, c] = [fresh(), fresh(), fresh()];
    let bytes = 0;
    await pumpContents(
      [
        { source: sourceOf('s', 10, log), writers: [writerOf(c)] },
        { source: sourceOf('l', 3 * MIB, log), writers: [writerOf(a), writerOf(b)] },
      ],
      { onBytes: (count) => (bytes += count) },
    );
    expect(log.filter((line) => line.startsWith('open'))).toEqual(['open s', 'open l']);
    expect([a, b, c]).toEqual([3 * MIB, 3 * MIB, 10].map((size) => ({ bytes: size, ended: true })));
    expect(bytes).toBe(3 * MIB + 10);
  });

  it('ends the writers of empty sources, and does nothing for none', async () => {
    const received = fresh();
    await pumpContents([{ source: sourceOf('e', 0, []), writers: [writerOf(received)] }], { onBytes: () => {} });
    await pumpContents([], { onBytes: () => {} });
    expect(received).toEqual({ bytes: 0, ended: true });
  });

  it.each([
    ['a source', true, Infinity, 'a is damaged'],
    ['a writer', false, 2 * MIB, 'ENOSPC'],
  ])('stops all when %s fails: nothing is opened later, everything is closed, nothing is ended', async (_what, fail, limit, message) => {
    const log: string[] = [];
    const [bad, other] = [fresh(), fresh()];
    const work = pumpContents(
      [
        { source: sourceOf('a', 4 * MIB, log, fail), writers: [writerOf(bad, limit)] },
        { source: sourceOf('b', 64 * MIB, log), writers: [writerOf(other)] },
        { source: sourceOf('c', 2 * MIB, log), writers: [writerOf(fresh())] },
      ],
      { onBytes: () => {} },
    );
    await expect(work).rejects.toThrow(message);
    expect(log.sort()).toEqual(['close a', 'close b', 'open a', 'open b']);
    expect([bad.ended, other.ended]).toEqual([false, false]);
    expect(other.bytes).toBeLessThan(64 * MIB);
  }); // prettier-ignore

  describe('of sources that scatter their bytes themselves', () => {
    const handOver = {} as HandOver;
    const target = { handOver } as ScatterTarget;
    /** Notes when each begins and ends, and whether it may wait for who reads behind. */
    function scattered(id: string, size: number, log: string[]): Consumer {
      const scatter = async (targets: readonly ScatterTarget[]) => {
        log.push(`${id}${targets[0]!.handOver ? '' : ' alone'}`);
        await new Promise((done) => setTimeout(done, size / MIB));
        log.push(`end ${id}`);
      };
      return { source: { id, size, open: () => expect.fail('it is not read here'), scatter }, writers: [], targets: [target] };
    } // prettier-ignore

    it('takes one at a time, in their order, beside those that it reads itself', async () => {
      const log: string[] = [];
      const consumers = [
        ...['a', 'b'].map((id) => scattered(id, 30 * MIB, log)),
        { source: sourceOf('s', MIB, log), writers: [writerOf(fresh())] },
      ];
      await pumpContents(consumers, { onBytes: () => {}, ahead: 0 });
      expect(log.filter((line) => !line.endsWith(' s'))).toEqual(['a', 'end a', 'b', 'end b']);
      expect(log.indexOf('open s')).toBeLessThan(log.indexOf('end a'));
    });

    it('takes the last ones ahead, as many as it may, and lets them wait for nobody', async () => {
      const log: string[] = [];
      const sizes = { a: 40, b: 20, c: 30, d: 10 };
      const consumers = Object.entries(sizes).map(([id, size]) => scattered(id, size * MIB, log));
      await pumpContents(consumers, { onBytes: () => {}, ahead: 0.45 });
      expect(log.filter((line) => !line.startsWith('end'))).toEqual(['a', 'd alone', 'c alone', 'b']);
    });

    it('lets none wait beside one that takes its own thread long: what is read first may come last', async () => {
      const log: string[] = [];
      const long = { source: sourceOf('z', 128 * MIB, []), writers: [writerOf(fresh())] };
      await pumpContents([scattered('a', MIB, log), long], { onBytes: () => {}, ahead: 0 });
      expect(log).toEqual(['a alone', 'end a']);
    });
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const log: string[] = [];
    const source = sourceOf('a', 64 * MIB, log);
    const options = { onBytes: () => stop.abort(new Error('interrupted')), signal: stop.signal };
    await expect(pumpContents([{ source, writers: [writerOf(fresh())] }], options)).rejects.toThrow('interrupted');
    expect(log).toEqual(['open a', 'close a']);
  });
});
