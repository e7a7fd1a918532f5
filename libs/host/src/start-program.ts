import { spawn, type ChildProcess } from 'node:child_process';
import { UserError } from '@boxship/model';
import { programMissing, programPath } from './run-program.ts';

export interface StartOptions {
  readonly cwd?: string;
  /** Added to the small, fixed environment of `runProgram`. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the program prints on stdout, as it comes. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** What it prints on stderr, as it comes. */
  readonly onErrors?: (chunk: Buffer) => void;
}

/** A program that runs beside us. It does not outlive this process, unless that is killed with SIGKILL. */
export interface StartedProgram {
  readonly pid: number;
  /** Resolves when the program has ended and all its output was handed over; never rejects. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** To its stdin; what an ended program can no longer read is dropped. */
  write(text: string | Uint8Array): void;
  /** Asks it to end (SIGTERM), insists after `patience` milliseconds (SIGKILL), and resolves when it has ended. */
  stop(patience?: number): Promise<void>;
}

/**
 * Starts a program with an argument list (never a shell string) and resolves when it runs.
 * Errors: PROGRAM_MISSING. For a program whose result matters, use `runProgram`.
 */
export async function startProgram(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<StartedProgram> {
  const child = spawn(program, [...args], {
    env: { PATH: programPath(), HOME: process.env['HOME'] ?? '/', TZ: 'UTC', LC_ALL: 'C.UTF-8', ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      release(child);
      resolve({ code, signal });
    });
  });
  child.stdout.on('data', (chunk: Buffer) => options.onOutput?.(chunk));
  child.stderr.on('data', (chunk: Buffer) => options.onErrors?.(chunk));
  child.stdin.on('error', () => {}); // EPIPE: `ended` tells
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? programMissing(program) : error);
    });
  });
  hold(child);
  if (child.pid === undefined) throw new UserError('PROGRAM_FAILED', `${program} did not start`);
  return {
    pid: child.pid,
    ended,
    write: (text) => void (child.stdin.writable && child.stdin.write(text)),
    async stop(patience = 5000) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), patience);
      await ended;
      clearTimeout(timer);
    },
  };
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const running = new Set<ChildProcess>();
const killAll = () => running.forEach((child) => child.kill('SIGKILL'));
const handlers = SIGNALS.map((signal) => ({
  signal,
  handle: () => {
    killAll();
    // With our handlers gone, the signal does what it does by default, unless the caller handles it as well.
    letGo();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  },
}));

function hold(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (running.size === 0) {
    process.on('exit', killAll);
    for (const { signal, handle } of handlers) process.on(signal, handle);
  }
  running.add(child);
}

function release(child: ChildProcess): void {
  if (running.delete(child) && running.size === 0) letGo();
}

function letGo(): void {
  process.off('exit', killAll);
  for (const { signal, handle } of handlers) process.off(signal, handle);
}
