/** Seconds that a command has to clean up after Ctrl-C. Half-written files have names that nobody takes for whole. */
const GRACE_MILLISECONDS = 5000;

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** Rejects when the time for cleaning up is over. */
  readonly overdue: Promise<never>;
  /** As if Ctrl-C had come: a terminal in raw mode gives it as a character. */
  interrupt(): void;
}

/** SIGINT, SIGTERM and SIGHUP abort the signal; a second one ends the process at once with `exitCode`. */
export function listenForInterruption(exitCode: number): Interruption {
  const controller = new AbortController();
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let timer: NodeJS.Timeout | undefined;
  let fail: (error: Error) => void = () => {};
  const overdue = new Promise<never>((_, reject) => {
    fail = reject;
  });
  overdue.catch(() => {}); // nobody may be waiting any more
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitCode);
    controller.abort();
    timer = setTimeout(() => fail(new Error('interrupted')), GRACE_MILLISECONDS);
  };
  for (const name of names) process.on(name, interrupt);
  return {
    signal: controller.signal,
    overdue,
    interrupt,
    [Symbol.dispose]() {
      clearTimeout(timer);
      for (const name of names) process.off(name, interrupt);
    },
  };
}
