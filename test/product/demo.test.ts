import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import { expect, inject, it } from 'vitest';

it('npm run demo ends with the line of an app, a table of its stages, and a folder to look at', async () => {
  const folder = join(await mkdtemp(join(inject('scratch'), 'demo-')), 'demo');
  const script = fileURLToPath(new URL('../demo/demo.mjs', import.meta.url));
  const { stdout } = await runProgram(process.execPath, [script, folder]);
  const text = stdout.toString();
  expect(text).toMatch(/^matched after .*boxship-demo: gateway 1\.4 is up \(29 checks ok\)$/m);
  const table = text.slice(text.lastIndexOf('\nstage ')).trim().split('\n');
  const stages = table.slice(1).map((line) => / {2}\s*\d+\.\d/.exec(line) && line.split('  ')[0]);
  const steps = ['keygen', 'lock', 'plan', 'compose basic', 'verify basic', 'compose pro', 'verify pro'];
  expect(stages).toEqual(expect.arrayContaining([...steps, 'boot until the app speaks']));
  expect(await readdir(join(folder, 'deploy/acme-gateway-1.4.0'))).toEqual([
    'qemux86-64-docker-basic',
    'qemux86-64-docker-pro',
  ]);
  await rm(folder, { recursive: true });
});
