import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runProgram } from '@boxship/host';

/* What an engine's units call on the device runs in any POSIX sh: a base image may have busybox only. */

const TEMPLATES = fileURLToPath(new URL('../../../templates/engines/', import.meta.url));
const scripts = (await readdir(TEMPLATES, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith('.sh'))
  .map((entry) => relative(TEMPLATES, join(entry.parentPath, entry.name)));
const hasShellcheck = await runProgram('shellcheck', ['--version']).then(() => true, () => false); // prettier-ignore
if (!hasShellcheck && process.env['CI'] === 'true') throw new Error('shellcheck is missing');

it('each engine that needs scripts is looked at', () => {
  const engines = new Set(scripts.map((path) => path.split('/')[0]));
  expect([...engines].sort()).toEqual(['containerd', 'k3s', 'podman', 'run-units']);
});

it.skipIf(!hasShellcheck).each(scripts)('shellcheck has nothing to say of %s', async (path) => {
  await runProgram('shellcheck', ['-x', '-s', 'sh', join(TEMPLATES, path)]);
});
