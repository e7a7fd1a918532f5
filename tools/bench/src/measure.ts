import { readFileSync, readdirSync } from 'node:fs';
import { startProgram } from '@boxship/host';

export interface Measured {
  readonly seconds: number;
  /** Processor time, user and system, of the program and all that it waited for. */
  readonly cpuSeconds: number;
  /** The part of it outside the kernel. */
  readonly userSeconds: number;
  /** Highest sum of the resident memory of the program and all that it started, bytes. Shared pages count once each. */
  readonly peakBytes: number;
}

/** Runs a program and watches its process tree; one at a time. Fails with all that it printed when its exit code is not 0. */
export async function measure(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const chunks: Buffer[] = [];
  const collect = (chunk: Buffer) => void chunks.push(chunk);
  const before = childrenSeconds();
  const started = process.hrtime.bigint();
  const child = await startProgram(program, args, { env, onOutput: collect, onErrors: collect });
  let peakBytes = 0;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, treeMemory(child.pid));
  }, 50);
  const { code } = await child.ended;
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  clearInterval(timer);
  if (code !== 0) {
    throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${Buffer.concat(chunks).toString()}`);
  }
  const { user, system } = childrenSeconds();
  const userSeconds = user - before.user;
  return { seconds, cpuSeconds: userSeconds + system - before.system, userSeconds, peakBytes };
}

/** The figures in the middle, each for itself; the peak is the highest. */
export function median(runs: readonly Measured[]): Measured {
  const middle = (values: number[]): number => {
    const sorted = values.sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
  };
  return {
    seconds: middle(runs.map((run) => run.seconds)),
    cpuSeconds: middle(runs.map((run) => run.cpuSeconds)),
    userSeconds: middle(runs.map((run) => run.userSeconds)),
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
  };
}

/** CPU time of all children that ended and of what they waited for: `cutime` and `cstime` of proc(5), in ticks of 10 ms. */
function childrenSeconds(): { user: number; system: number } {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third one on
  return { user: Number(fields[13]) / 100, system: Number(fields[14]) / 100 };
}

/**
 * Memory of a process and its descendants now, or the highest that the first one ever had (VmHWM) if that is more: no
 * sampling misses it. A child that was forked and does not run its own program yet is its parent's memory, not counted twice.
 */
function treeMemory(root: number): number {
  let [sum, highest] = [0, 0];
  const pending: { pid: number; parentCommand: string }[] = [{ pid: root, parentCommand: '' }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    try {
      const command = readFileSync(`/proc/${next.pid}/cmdline`, 'latin1');
      const status = readFileSync(`/proc/${next.pid}/status`, 'latin1');
      const field = (pattern: RegExp) => Number(pattern.exec(status)?.[1] ?? 0) * 1024;
      if (command !== next.parentCommand) sum += field(/^VmRSS:\s+(\d+) kB/m);
      if (next.pid === root) highest = field(/^VmHWM:\s+(\d+) kB/m);
      for (const thread of readdirSync(`/proc/${next.pid}/task`)) {
        const children = readFileSync(`/proc/${next.pid}/task/${thread}/children`, 'latin1');
        for (const pid of children.split(' ').filter(Boolean))
          pending.push({ pid: Number(pid), parentCommand: command });
      }
    } catch {
      // it ended while we looked
    }
  }
  return Math.max(sum, highest);
}
