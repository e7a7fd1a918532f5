import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** What another machine or container is writing is left alone until it has not changed for this long (milliseconds). */
const FOREIGN_AGE = 24 * 3600 * 1000;

/** What this process is writing, or has written. */
const ours = new Set<string>();

/**
 * Name of what is being written beside `path`: `.<name>.<process>-<random>.<place>.partial`. It starts with a dot and ends
 * with `.partial`, so that nobody takes it for whole and cleaning finds it; it tells whose it is.
 */
export function partialPath(path: string): string {
  const id = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const partial = join(dirname(path), `.${basename(path)}.${id}.${placeTag()}.partial`);
  ours.add(basename(partial));
  return partial;
}

/**
 * Whether `path` is what a run that is no more left half-written: its process has ended, or, when it was another
 * machine's or container's, nothing has changed it for `foreignAge` milliseconds. False for every other name.
 */
export async function isLeftover(path: string, foreignAge = FOREIGN_AGE): Promise<boolean> {
  const name = basename(path);
  const [, pid, place] = /^\..+\.(\d+)-[0-9a-f]+\.([0-9a-f]{8})\.partial$/.exec(name) ?? [];
  if (pid === undefined) return false;
  // A container gives each of its runs the same process id: being ours is more than having our number.
  if (place === placeTag()) return Number(pid) === process.pid ? !ours.has(name) : !isAlive(Number(pid));
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > foreignAge;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

let tag: string | undefined;

/** Where process ids mean the same: one boot of one machine and one container on it. */
function placeTag(): string {
  const facts = [
    () => hostname(),
    () => readlinkSync('/proc/self/ns/pid'),
    () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'),
  ];
  tag ??= createHash('sha256').update(facts.map(readFact).join('\n')).digest('hex').slice(0, 8);
  return tag;
}

function readFact(fact: () => string): string {
  try {
    return fact();
  } catch {
    return ''; // not Linux, or no /proc: the host's name alone must do
  }
}
