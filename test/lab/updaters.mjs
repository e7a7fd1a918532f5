// Real updaters of Debian releases, unpacked beside the system with all that they need; no root, nothing is installed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';

/**
 * How to start `program` of a Debian package: the loader of its own suite, and the arguments that begin with the program.
 * The first call fetches the package into the test cache.
 */
export async function updaterCommand({ suite, package: name, program = name }) {
  const { folder } = await fetchDebianPackage({ suite, package: name, dependencies: true });
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const loader = [`lib64/ld-linux-x86-64.so.2`, 'lib/ld-linux-aarch64.so.1']
    .map((path) => join(folder, path))
    .find(existsSync);
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`].map((path) => join(folder, path)).join(':');
  return { command: loader, args: ['--library-path', libraries, join(folder, 'usr/bin', program)] };
}
