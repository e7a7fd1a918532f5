import { describe, expect, it } from 'vitest';
import { programRoom } from './program-room.ts';

/** Programs that end when they are told to; which of them run. */
function programs(limits: Parameters<typeof programRoom>[0]) {
  const room = programRoom(limits);
  const ends = new Map<string, (error?: Error) => void>();
  return {
    async running() {
      await new Promise((done) => setImmediate(done));
      return [...ends.keys()].join(' ');
    },
    async start(name: string, memory: number, signal?: AbortSignal) {
      const work = () =>
        new Promise<string>((resolve, reject) => {
          ends.set(name, (error) => (error ? reject(error) : resolve(name)));
        });
      return await room.take(memory, work, signal).finally(() => ends.delete(name));
    },
    async end(name: string, error?: Error) {
      await new Promise((done) => setImmediate(done));
      ends.get(name)!(error);
    },
  };
}

describe('a room for programs', () => {
  it('holds so many and so much; what needs less may pass; what needs more than all runs alone', async () => {
    const { start, end, running } = programs({ programs: 2, memory: 100 });
    const started = [start('a', 60), start('b', 60), start('c', 30), start('d', 1), start('huge', 1000), start('e', 1)];
    expect(await running()).toBe('a c');
    await end('a');
    expect(await running()).toBe('c b');
    await end('c');
    expect(await running()).toBe('b d');
    await end('b');
    expect(await running()).toBe('d e');
    await end('d');
    expect(await running()).toBe('e');
    await end('e');
    expect(await running()).toBe('huge');
    await end('huge');
    expect(await Promise.all(started)).toEqual(['a', 'b', 'c', 'd', 'huge', 'e']);
  });

  it('makes room when one fails, and tells who asked for it', async () => {
    const { start, end, running } = programs({ programs: 1, memory: 100 });
    const failed = expect(start('a', 10)).rejects.toThrow('broken');
    void start('b', 10);
    await end('a', new Error('broken'));
    await failed;
    expect(await running()).toBe('b');
  });

  it('who is stopped while it waits never begins; the next one does', async () => {
    const { start, end, running } = programs({ programs: 1, memory: 100 });
    const stop = new AbortController();
    void start('a', 10);
    const waiting = expect(start('b', 10, stop.signal)).rejects.toThrow('stop it');
    void start('c', 10);
    stop.abort(new Error('stop it'));
    await waiting;
    await end('a');
    expect(await running()).toBe('c');
    await expect(start('d', 1, stop.signal)).rejects.toThrow('stop it');
  });
});
