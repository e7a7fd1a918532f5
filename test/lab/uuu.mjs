// A real uuu, of Debian trixie: that of bookworm waits for ever instead of ending a dry run.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';

/** What uuu says of a script or a folder without a device: the commands as it read them, or why it does not take them. */
export async function dryRun(path) {
  const { folder } = await fetchDebianPackage({ suite: 'trixie', package: 'uuu', dependencies: true });
  const loader = readdirSync(join(folder, 'lib64')).find((name) => name.startsWith('ld-linux'));
  const libraries = readdirSync(join(folder, 'usr/lib'))
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(folder, 'usr/lib', name));
  const { status, stdout, stderr, error } = spawnSync(
    join(folder, 'lib64', loader),
    ['--library-path', libraries.join(':'), join(folder, 'usr/bin/uuu'), '-dry', path],
    { timeout: 60_000, encoding: 'utf8' },
  );
  if (error) throw error;
  // the table of chips that it knows comes first
  const text = `${stdout}${stderr}`.split('Wait for Known USB Device Appear...').at(-1);
  return { accepted: status === 0, lines: text.split('\n').filter((line) => /\w/.test(line)) };
}
