import { UserError } from '@boxship/model';

/** A regular expression that a line matches, finished or (a prompt) not; or a question about finished lines, each asked once. */
export type LinePattern = RegExp | ((line: string) => boolean);

/** What a machine says on its serial port, as clean lines, and what we type. */
export interface SerialConsole {
  /** Everything so far, without escape sequences. */
  text(): string;
  /**
   * The next line that matches, of those that no earlier call has seen. Errors: BOOT_TIMEOUT, BOOT_ENDED, KERNEL_PANIC, each with the last lines.
   */
  waitFor(pattern: LinePattern, timeout: number): Promise<string>;
  /** Types as a person does; end with a newline. */
  type(text: string): void;
}

export interface SerialFeed {
  readonly console: SerialConsole;
  /** Bytes from the machine. */
  receive(chunk: Uint8Array): void;
  /** The machine has ended; `why` for the error of who still waits. */
  end(why: string): void;
}

/** ECMA-48 control sequences, operating system commands (ended by BEL or ST) and two-character escapes. */
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_c=>78]/g;
const PANIC = /Kernel panic - not syncing/;
const LAST_LINES = 12;

/** A console without a machine: feed it bytes. `onLine` gets each finished line. */
export function createSerialConsole(
  write: (text: string) => void,
  onLine: (line: string) => void = () => {},
): SerialFeed {
  const decoder = new TextDecoder();
  const lines: string[] = [];
  let partial = '';
  let seen = 0; // lines that a waitFor has passed; lines.length + 1 when it took the partial one
  let ended: string | undefined;
  let wake = () => {};

  const clean = (line: string) => line.replace(ESCAPES, '').replaceAll('\r', '');
  const tail = () => [...lines.slice(-LAST_LINES), clean(partial)].join('\n').trim() || '(nothing was printed)';

  function take(pattern: LinePattern): string | undefined {
    const matches = (line: string) => (typeof pattern === 'function' ? pattern(line) : pattern.test(line));
    while (seen < lines.length) {
      const line = lines[seen++]!;
      if (matches(line)) return line;
      if (PANIC.test(line)) {
        throw new UserError('KERNEL_PANIC', `the kernel gave up: ${line}\nIts last lines:\n${tail()}`);
      }
    }
    if (typeof pattern === 'function') return undefined;
    const prompt = clean(partial);
    if (seen === lines.length && prompt !== '' && pattern.test(prompt)) {
      seen += 1;
      return prompt;
    }
    return undefined;
  }

  return {
    receive(chunk) {
      const parts = (partial + decoder.decode(chunk, { stream: true })).split('\n');
      partial = parts.pop() ?? '';
      for (const part of parts) {
        const line = clean(part);
        lines.push(line);
        onLine(line);
      }
      wake();
    },
    end(why) {
      if (clean(partial) !== '') onLine(clean(partial));
      ended = why;
      wake();
    },
    console: {
      text: () => [...lines, clean(partial)].join('\n'),
      type: write,
      async waitFor(pattern, timeout) {
        const until = Date.now() + timeout;
        for (;;) {
          const line = take(pattern);
          if (line !== undefined) return line;
          const asked = typeof pattern === 'function' ? 'the expected line' : String(pattern);
          if (ended !== undefined) {
            throw new UserError('BOOT_ENDED', `${ended} before it printed ${asked}. Its last lines:\n${tail()}`);
          }
          const left = until - Date.now();
          if (left <= 0) {
            const message = `no line matched ${asked} in ${timeout / 1000} s. The last lines:\n${tail()}`;
            throw new UserError(
              'BOOT_TIMEOUT',
              message,
              'An emulated machine is slow: allow more time when it got far.',
            );
          }
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, left);
            wake = () => (clearTimeout(timer), resolve());
          });
          wake = () => {};
        }
      },
    },
  };
}
