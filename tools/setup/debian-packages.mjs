import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const POLICY = '/usr/sbin/policy-rc.d';

/** The packages of debian-packages.json: `{ name, or?, reason }`; `or` names a package that does as well. */
export function debianPackages() {
  return JSON.parse(readFileSync(join(here, 'debian-packages.json'), 'utf8')).packages;
}

/** Packages that bitbake and `npm run test:yocto` need, beside or among the others. */
export function yoctoPackages() {
  return JSON.parse(readFileSync(join(here, 'debian-packages.json'), 'utf8')).yocto;
}

/** Packages of other suites, `{ name, suite, dependencies, reason }`: unpacked beside the system, never installed. */
export function otherSuites() {
  return JSON.parse(readFileSync(join(here, 'debian-packages.json'), 'utf8')).otherSuites;
}

/** Names of `packages` that dpkg does not have; one call, a few milliseconds. */
export function missingPackages(packages = debianPackages()) {
  const { stdout, error } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n'], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (error)
    throw new Error(
      'this is no Debian or Ubuntu system (dpkg-query is missing); see tools/setup/debian-packages.json for what the tests use',
    );
  const installed = new Set(
    stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.slice(0, -' installed'.length)),
  );
  return packages.filter(({ name, or }) => !installed.has(name) && !installed.has(or)).map(({ name }) => name);
}

/**
 * Installs what is missing with apt-get, as root or through a sudo that asks for no password; `apt-get update` runs only
 * then. Without either it throws an error with the exact line to run.
 */
export function installDebianPackages(packages = debianPackages()) {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const sudo = elevation();
  if (sudo === undefined) {
    // a fresh machine has no package lists
    throw new Error(
      `${missing.length} Debian packages are missing. Run this once, then try again:\n\n  sudo apt-get update && sudo ${line}\n`,
    );
  }
  // A daemon must not start because we wanted its program. Where an init system runs, /usr/sbin/policy-rc.d says so to
  // every maintainer script; a container without one usually has that file, and we leave theirs alone.
  const ours = !existsSync(POLICY);
  if (ours) placePolicy(sudo);
  try {
    console.log(`setup: installing ${missing.join(' ')}`);
    const lists = apt(sudo, ['update', '-q']);
    if (lists !== 0) console.error('setup: apt-get update failed; going on with the package lists that are there');
    const status = apt(sudo, ['install', '-y', '-q', '--no-remove', '--no-install-recommends', ...missing]);
    if (status !== 0)
      throw new Error(`apt-get ended with exit code ${status}; its words are above. The line was:\n\n  ${line}\n`);
  } finally {
    if (ours) run([...sudo, 'rm', '-f', POLICY]);
  }
  const still = missingPackages(packages);
  if (still.length > 0) throw new Error(`apt-get succeeded, but these are still missing: ${still.join(' ')}`);
}

/** What to put in front of a command that needs root: nothing, sudo, or undefined when there is no way. */
function elevation() {
  if (process.getuid() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

function placePolicy(sudo) {
  const folder = mkdtempSync(join(tmpdir(), 'boxship-setup-'));
  writeFileSync(join(folder, 'policy'), '#!/bin/sh\nexit 101\n');
  run([...sudo, 'install', '-m', '755', join(folder, 'policy'), POLICY]);
  rmSync(folder, { recursive: true });
}

/** Waits up to ten minutes for another apt, and never asks a question. */
function apt(sudo, args) {
  return run([
    ...sudo,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'NEEDRESTART_SUSPEND=1',
    'apt-get',
    ...['DPkg::Lock::Timeout=600', 'Acquire::Retries=3', 'Dpkg::Use-Pty=0'].flatMap((option) => ['-o', option]),
    ...args,
  ]);
}

/** Runs a program with its words shown; returns its exit code. */
function run([program, ...args]) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw error;
  return status;
}
