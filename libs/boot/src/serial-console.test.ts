import { describe, expect, it } from 'vitest';
import { createSerialConsole } from './serial-console.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('a serial console', () => {
  it('gives clean lines, however the bytes are cut', async () => {
    const lines: string[] = [];
    const feed = createSerialConsole(() => {}, (line) => lines.push(line)); // prettier-ignore
    const said = bytes('\x1b[0;32m  OK  \x1b[0m] Größe\r\n\x1b]0;title\x07second\x1b[?2004h\r\n');
    for (const byte of said) feed.receive(Uint8Array.of(byte));
    expect(lines).toEqual(['  OK  ] Größe', 'second']);
    expect(await feed.console.waitFor(/second/, 100)).toBe('second');
  });

  it('takes a prompt that has no newline, once', async () => {
    const feed = createSerialConsole(() => {});
    feed.receive(bytes('device login: '));
    expect(await feed.console.waitFor(/login:\s*$/, 100)).toBe('device login: ');
    await expect(feed.console.waitFor(/login:/, 50)).rejects.toMatchObject({ code: 'BOOT_TIMEOUT' });
    feed.receive(bytes('root\nlogin: again\n'));
    expect(await feed.console.waitFor(/login:/, 100)).toBe('login: again');
  });

  it('asks a function about each finished line, once', async () => {
    const feed = createSerialConsole(() => {});
    const asked: string[] = [];
    const waiting = feed.console.waitFor((line) => (asked.push(line), line === 'three'), 1000);
    for (const part of ['o', 'ne\ntwo', '\nthr', 'ee\n']) feed.receive(bytes(part));
    expect(await waiting).toBe('three');
    expect(asked).toEqual(['one', 'two', 'three']);
  });

  it('fails at once when the kernel panics, with its last lines', async () => {
    const feed = createSerialConsole(() => {});
    feed.receive(bytes('VFS: Unable to mount root fs\nKernel panic - not syncing: VFS\n'));
    await expect(feed.console.waitFor(/login:/, 60_000)).rejects.toThrow(/Unable to mount root fs/);
  });

  it('fails at once when the machine ends', async () => {
    const feed = createSerialConsole(() => {});
    const waiting = feed.console.waitFor(/login:/, 60_000);
    feed.receive(bytes('bye\n'));
    feed.end('the machine switched off');
    await expect(waiting).rejects.toMatchObject({ code: 'BOOT_ENDED' });
  });
});
