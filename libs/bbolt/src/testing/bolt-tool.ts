import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildGoProgram, runProgram } from '@boxship/host';

const SOURCE = new URL('tool/main.go', import.meta.url).pathname;
/** Where Debian's golang-*-dev packages put their sources. */
const GOPATH = '/usr/share/gocode';

/** Why bbolt cannot be built here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoGo(): string | undefined {
  const hasGo = spawnSync('go', ['version']).status === 0;
  const hasBolt = spawnSync('test', ['-d', join(GOPATH, 'src/go.etcd.io/bbolt')]).status === 0;
  const why = hasGo && hasBolt ? undefined : 'golang-go or golang-github-coreos-bbolt-dev is missing';
  if (why && process.env['CI'] === 'true') throw new Error(`${why}, and CI=true allows no skipped tests`);
  return why;
}

/** Path of the tool. */
export function buildBoltTool(): Promise<string> {
  return buildGoProgram(SOURCE, GOPATH);
}

/** Lines that the tool printed; rejects with its words when it fails. */
export async function runTool(tool: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await runProgram(tool, args);
  return stdout.toString().split('\n').filter(Boolean);
}
