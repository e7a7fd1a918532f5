import { readFileSync, readdirSync } from 'node:fs';
import { startProgram } from '@boxship/host';

export interface Measured {
  readonly seconds: number;
  /** Highest sum of the resident memory of the program and all that it started, bytes. Shared pages count once each. */
  readonly peakBytes: number;
  readonly output: string;
}

/** Runs a program and watches its process tree. Fails with all that it printed when its exit code is not 0. */
export async function measure(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const chunks: Buffer[] = [];
  const collect = (chunk: Buffer) => void chunks.push(chunk);
  const started = process.hrtime.bigint();
  const child = await startProgram(program, args, { env, onOutput: collect, onErrors: collect });
  let peakBytes = 0;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, treeMemory(child.pid));
  }, 50);
  const { code } = await child.ended;
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  clearInterval(timer);
  const output = Buffer.concat(chunks).toString();
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${output}`);
  return { seconds, peakBytes, output };
}

/** RSS of a process and its descendants, from /proc. */
function treeMemory(root: number): number {
  const parents = new Map<number, number>();
  const memory = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
      memory.set(Number(name), Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // it ended while we looked
    }
  }
  let sum = 0;
  for (const pid of memory.keys()) {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at !== root) continue;
      sum += memory.get(pid)!;
      break;
    }
  }
  return sum;
}
