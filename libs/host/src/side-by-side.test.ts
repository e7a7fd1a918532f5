import { describe, expect, it } from 'vitest';
import { sideBySide } from './side-by-side.ts';

const after = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds));
/** Ends when the signal says so, a moment later, with its reason. */
const untilStopped = async (signal: AbortSignal, cleanUp: () => void): Promise<never> => {
  await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
  await after(20);
  cleanUp();
  throw signal.reason;
};

describe('jobs side by side', () => {
  it('return what they return in their order, whichever ends first', async () => {
    const ended: number[] = [];
    const jobs = [30, 1, 15].map((milliseconds, index) => async () => {
      await after(milliseconds);
      ended.push(index);
      return index;
    });
    expect(await sideBySide(jobs)).toEqual([0, 1, 2]);
    expect(ended).toEqual([1, 2, 0]);
    expect(await sideBySide([])).toEqual([]);
  });

  it('are begun in order, no more at once than was said', async () => {
    let [running, most] = [0, 0];
    const begun: number[] = [];
    const jobs = [0, 1, 2, 3, 4, 5, 6].map((index) => async () => {
      begun.push(index);
      most = Math.max(most, ++running);
      await after(index % 3);
      running--;
    });
    await sideBySide(jobs, { atOnce: 3 });
    expect({ most, begun }).toEqual({ most: 3, begun: [0, 1, 2, 3, 4, 5, 6] });
  });

  it('one fails: the others are stopped and waited for, none is begun, and its error is told', async () => {
    const seen: string[] = [];
    const failing = sideBySide(
      [
        (signal: AbortSignal) => untilStopped(signal, () => seen.push('stopped')),
        () => after(10).then(() => Promise.reject(new Error('the real one'))),
        async () => {
          await after(60); // it does not listen
          seen.push('ended');
        },
        async () => void seen.push('begun too late'),
      ],
      { atOnce: 3 },
    );
    await expect(failing).rejects.toThrow('the real one');
    expect(seen).toEqual(['stopped', 'ended']);
  });

  it('that fail one after another: the first is told, whatever the others say', async () => {
    const failing = sideBySide([
      (signal) => untilStopped(signal, () => {}).catch(() => Promise.reject(new Error('a consequence'))),
      () => Promise.reject(new Error('first')),
    ]);
    await expect(failing).rejects.toThrow('first');
  });

  it('are stopped from outside, with its reason, when all have ended', async () => {
    const stop = new AbortController();
    let cleaned = 0;
    const jobs = [0, 1].map(() => (signal: AbortSignal) => untilStopped(signal, () => cleaned++));
    const running = sideBySide(jobs, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('Ctrl-C')), 10);
    await expect(running).rejects.toThrow('Ctrl-C');
    expect(cleaned).toBe(2);
    await expect(sideBySide([() => Promise.resolve(cleaned++)], { signal: stop.signal })).rejects.toThrow('Ctrl-C');
    expect(cleaned).toBe(2);
  });
});
