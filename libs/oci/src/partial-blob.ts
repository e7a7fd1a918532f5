import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { partialPath } from '@boxship/host';

/** A partial file of another machine or container is left alone for this long, because it may still be growing. */
const FOREIGN_AGE = 3600 * 1000;

/** Partial files that this process gave up and may take up again. */
const abandoned = new Set<string>();

/**
 * The path to write the blob `file` at before it is complete: what a killed or failed run left of it, renamed to be ours
 * alone, or a new path. Names end in `.partial`, so that sweeping the cache finds them.
 */
export async function claimPartial(file: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  const mine = `${partialPath(file).replace(/\.partial$/, '')}.${machineTag()}.partial`;
  const prefix = `.${file.slice(dirname(file).length + 1)}.`;
  for (const name of await readdir(dirname(file))) {
    const parts = name.startsWith(prefix)
      ? /^(\d+)-[0-9a-f]+\.([0-9a-f]+)\.partial$/.exec(name.slice(prefix.length))
      : null;
    const path = join(dirname(file), name);
    if (!parts || !(await isAbandoned(path, Number(parts[1]), parts[2]!))) continue;
    try {
      await rename(path, mine); // only one of several runs gets it
      abandoned.delete(path);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return mine;
}

/** Keeps a partial file for the next try. */
export function leavePartial(path: string): void {
  abandoned.add(path);
}

export async function removePartial(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function isAbandoned(path: string, pid: number, tag: string): Promise<boolean> {
  if (abandoned.has(path)) return true;
  if (tag === machineTag()) return !isAlive(pid);
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > FOREIGN_AGE;
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
function machineTag(): string {
  const facts = [
    hostname(),
    () => readlinkSync('/proc/self/ns/pid'),
    () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'),
  ];
  tag ??= createHash('sha256').update(facts.map(readFact).join('\n')).digest('hex').slice(0, 8);
  return tag;
}

function readFact(fact: string | (() => string)): string {
  try {
    return typeof fact === 'string' ? fact : fact();
  } catch {
    return ''; // not Linux, or no /proc: the host's name alone must do
  }
}
