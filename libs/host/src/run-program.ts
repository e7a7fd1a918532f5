import { spawn } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';
import { UserError } from '@boxship/model';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to a small, fixed environment: PATH, HOME, TZ=UTC, LC_ALL=C.UTF-8. Nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Descriptor of an open file that takes what the program prints; `stdout` of the result is empty then. */
  readonly output?: number;
  /** Milliseconds; afterwards the program is killed and the call fails. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** How much further back than this process it stands in line for a core, and what it starts (nice(2), 0 to 19). Default: 0. */
  readonly niceness?: number;
  /** Exit codes that are results, not errors. Default: 0 alone. */
  readonly accept?: readonly number[];
}

export interface RunResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Debian package of each program that Boxship may start, for the hint of an error. */
const PACKAGES: Readonly<Record<string, string>> = {
  debugfs: 'e2fsprogs', e2image: 'e2fsprogs', e2fsck: 'e2fsprogs', resize2fs: 'e2fsprogs', tune2fs: 'e2fsprogs', dumpe2fs: 'e2fsprogs',
  bmaptool: 'bmap-tools', xz: 'xz-utils', zstd: 'zstd', gzip: 'gzip', bzip2: 'bzip2', 'qemu-system-x86_64': 'qemu-system-x86',
  sqfs2tar: 'squashfs-tools-ng', blockdev: 'util-linux', mcopy: 'mtools', mtype: 'mtools', mdir: 'mtools', 'qemu-img': 'qemu-utils', openssl: 'openssl', skopeo: 'skopeo', mksquashfs: 'squashfs-tools', sgdisk: 'gdisk', sfdisk: 'fdisk',
}; // prettier-ignore

/** sbin is where Debian keeps e2fsprogs; an ordinary user's PATH lacks it. */
export function programPath(): string {
  const path = process.env['PATH'] ?? '';
  return [...new Set([...path.split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])]
    .filter(Boolean)
    .join(':');
}

/**
 * Runs a program with an argument list (never a shell string) and returns what it printed.
 * Errors: PROGRAM_MISSING (with the Debian package), PROGRAM_FAILED (with the end of its stderr), PROGRAM_TIMEOUT; the reason of
 * the signal when that stopped it, once it has ended.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const env = {
    PATH: programPath(),
    HOME: process.env['HOME'] ?? '/',
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
    ...options.env,
  };
  return await new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      env,
      ...(options.cwd ? { cwd: options.cwd } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', options.output ?? 'pipe', 'pipe'],
    });
    if (options.niceness && child.pid !== undefined) standBack(child.pid, options.niceness);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = options.timeout
      ? setTimeout(() => {
          timedOut = true;
          child.kill('SIGKILL');
        }, options.timeout)
      : undefined;
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => stderr.push(chunk));
    let failure: Error | undefined;
    child.on('error', (error: NodeJS.ErrnoException) => {
      const stopped = options.signal?.aborted ? (options.signal.reason as Error) : error;
      failure = error.code === 'ENOENT' ? programMissing(program) : stopped;
      if (child.pid !== undefined) return; // stopped by the signal: 'close' comes when it has really ended
      clearTimeout(timer);
      reject(failure);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const errors = Buffer.concat(stderr).toString();
      if (failure) {
        reject(failure);
      } else if (timedOut) {
        reject(new UserError('PROGRAM_TIMEOUT', `${program} did not finish in ${options.timeout! / 1000} s`));
      } else if (code !== null && (options.accept ?? [0]).includes(code)) {
        resolve({ code, stdout: Buffer.concat(stdout), stderr: errors });
      } else {
        const end = (errors || Buffer.concat(stdout).toString()).trim().split('\n').slice(-8).join('\n');
        reject(new UserError('PROGRAM_FAILED', `${program} ended with ${signal ?? `exit code ${code}`}: ${end}`));
      }
    });
    if (options.input !== undefined) {
      child.stdin!.on('error', () => {}); // EPIPE: the exit code tells
      child.stdin!.end(options.input);
    }
  });
}

function standBack(pid: number, niceness: number): void {
  try {
    setPriority(pid, Math.min(19, getPriority() + niceness));
  } catch {
    // it has ended already, or the system has no priorities: it runs as it is
  }
}

/** The error for a program that is not there, with the Debian package that has it. */
export function programMissing(program: string): UserError {
  const known = Object.hasOwn(PACKAGES, program) ? PACKAGES[program] : undefined;
  return new UserError(
    'PROGRAM_MISSING',
    `the program "${program}" is not installed`,
    known ? `Install it: apt-get install ${known}` : `Install it and put it on the PATH.`,
  );
}
