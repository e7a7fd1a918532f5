import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** npm writes node_modules/.package-lock.json at the end of an install: older than the lock file means out of date. */
export function npmPackagesAreCurrent(folder = root) {
  const installed = join(folder, 'node_modules', '.package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs;
}

/** Runs `npm ci` in the workspace when node_modules is missing or older than the lock file. */
export function installNpmPackages() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node ${process.versions.node} is too old; Boxship needs 20.19 or newer`);
  }
  if (npmPackagesAreCurrent()) return;
  console.log('setup: npm ci');
  // as a program of its own, with what npm put into our environment removed (npm run sets npm_* and INIT_CWD)
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|command)/.test(name)),
  );
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, env, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm ci ended with exit code ${status}; its words are above`);
}
