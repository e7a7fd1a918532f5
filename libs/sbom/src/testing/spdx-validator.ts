import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';

const SOURCE = new URL('validate.go', import.meta.url).pathname;
/** Where `tools/setup/debian-tools.mjs` unpacks SPDX's library for Go. */
const GOPATH = join(
  process.env['BOXSHIP_TEST_CACHE'] || join(homedir(), '.cache', 'boxship-test'),
  'tools/golang-github-spdx-tools-golang-dev-trixie/usr/share/gocode',
);

/** Why the validator cannot be built here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoSpdx(): string | undefined {
  const there = existsSync(GOPATH) && spawnSync('go', ['version']).status === 0;
  const why = there ? undefined : 'golang-go is missing, or run: node tools/setup/debian-tools.mjs --with-dependencies golang-github-spdx-tools-golang-dev/trixie'; // prettier-ignore
  if (why && process.env['CI'] === 'true') throw new Error(`${why}; CI=true allows no skipped tests`);
  return why;
}

/** Path of a program that checks an SPDX document with SPDX's library for Go (Debian trixie); built once for each change. */
export async function buildSpdxValidator(): Promise<string> {
  const { mtimeMs, size } = await stat(SOURCE);
  const path = join(tmpdir(), `boxship-spdx-validator-${process.getuid?.() ?? 0}-${size}-${Math.floor(mtimeMs)}`);
  if (existsSync(path)) return path;
  const scratch = await mkdtemp(join(tmpdir(), 'boxship-spdx-build-'));
  try {
    const env = { GO111MODULE: 'off', GOPATH, GOCACHE: join(scratch, 'cache'), GOFLAGS: '', HOME: scratch };
    await runProgram('go', ['build', '-o', join(scratch, 'tool'), SOURCE], { env });
    await rename(join(scratch, 'tool'), path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}
