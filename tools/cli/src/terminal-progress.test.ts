import { describe, expect, it, vi } from 'vitest';
import { terminalProgress } from './terminal-progress.ts';

function output(isTTY: boolean) {
  const texts: string[] = [];
  return { texts, isTTY, columns: 60, write: (text: string) => texts.push(text) };
}

describe('progress', () => {
  it('is plain lines in a log: one at the start, one at the end, no control character', () => {
    const log = output(false);
    const step = terminalProgress(log).start('composing', 4096);
    for (let i = 0; i < 100; i++) step.advance(41);
    step.end();
    step.end();
    expect(log.texts).toHaveLength(2);
    expect(log.texts[0]).toBe('composing (4.0 KiB) ...\n');
    expect(log.texts[1]).toMatch(/^composing: 4\.0 KiB in \d+\.\d s, .*\/s\n$/);
  });

  it('says nothing of short steps of unknown size', () => {
    const log = output(false);
    const step = terminalProgress(log).start('reading');
    step.advance(5);
    step.end();
    expect(log.texts).toEqual([]);
  });

  it('is a bar with rate and time left on a terminal, never wider than it', () => {
    vi.useFakeTimers();
    try {
      const terminal = output(true);
      const step = terminalProgress(terminal).start(
        'digesting a-file-with-a-name-that-is-far-too-long-for-this.img',
        1000,
      );
      vi.advanceTimersByTime(2000);
      step.advance(250);
      const drawn = terminal.texts.at(-1)!;
      expect(drawn).toContain(' 25 % 125 B/s, 6 s left');
      expect(drawn.trimEnd().length).toBeLessThan(60);
      step.end();
      expect(terminal.texts.join('')).toContain('250 B in 2.0 s');
    } finally {
      vi.useRealTimers();
    }
  });

  it('shows nothing when quiet, warnings neither', () => {
    const log = output(false);
    const progress = terminalProgress(log, { quiet: true });
    progress.start('composing', 10).end();
    progress.note('a note');
    progress.warn('a warning');
    expect(log.texts).toEqual([]);
  });

  it('has colours only where they were asked for', () => {
    const log = output(false);
    terminalProgress(log).warn('look here');
    expect(log.texts).toEqual(['warning: look here\n']);
  });
});
