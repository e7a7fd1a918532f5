import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildGoProgram } from '@boxship/host';

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

/** Path of a program that checks an SPDX document with SPDX's library for Go (Debian trixie). */
export function buildSpdxValidator(): Promise<string> {
  return buildGoProgram(SOURCE, GOPATH);
}
