import { readFile, readdir, rm, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { programPath, runProgram } from '@boxship/host';
import { checkout, type Release } from './checkouts.ts';
import { META_BOXSHIP, type GeneratedLayer } from './layers-under-test.ts';

const CASES = 'lib/oeqa/runtime/cases';

/** What the runner needs besides a target, in a folder: the data of the image and, in `bin`, programs that it calls. */
export interface OeqaRun {
  readonly folder: string;
  readonly suites: readonly string[];
}

/**
 * Prepares a run of openembedded-core's runner against an image of a layer. `ssh`: the program that takes the place of ssh; its
 * last argument is the command for the target. Nothing answers to `ping`, which is said to be fine.
 */
export async function makeOeqaRun(folder: string, { path, images }: GeneratedLayer, ssh: string): Promise<OeqaRun> {
  // what bitbake writes as <image>.testdata.json: the variables, as the generated recipe has them
  const recipe = await readFile(join(path, `recipes-core/images/${images[0]!}.bb`), 'utf8');
  const variables = Object.fromEntries(
    [...recipe.matchAll(/^(BOXSHIP_TEST_\w+|TEST_SUITES) = "(.*)"$/gm)].map(([, name, value]) => [name!, value!]),
  );
  expect(Object.keys(variables)).toEqual(['BOXSHIP_TEST_UNITS', 'BOXSHIP_TEST_PROBE', 'TEST_SUITES']);
  await writeFile(join(folder, 'testdata.json'), JSON.stringify({ MLPREFIX: '', ...variables }));
  await writeFile(join(folder, 'manifest'), 'openssh-sshd any 1\n');
  await mkdir(join(folder, 'bin'));
  for (const [name, text] of [['ssh', ssh], ['ping', '#!/bin/sh\n']] as const) {
    await writeFile(join(folder, 'bin', name), text, { mode: 0o755 });
  } // prettier-ignore
  return { folder, suites: variables['TEST_SUITES']!.split(' ') };
}

/** Verdicts of oe-test on our case, by the name of the test. `env`: of the runner and so of what it calls. */
export async function runOeqaCases(
  { folder, suites }: OeqaRun,
  release: Release,
  env: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const core = checkout(release, 'openembedded-core');
  const results = join(folder, 'results');
  await rm(results, { recursive: true, force: true });
  const { stdout } = await runProgram(
    'python3',
    [
      join(core, 'scripts/oe-test'), 'runtime',
      '--target-type', 'simpleremote', '--target-ip', '192.0.2.1', '--server-ip', '192.0.2.2',
      '--packages-manifest', join(folder, 'manifest'), '--test-data-file', join(folder, 'testdata.json'),
      '--json-result-dir', results, '--run-tests', ...suites, '--',
      join(core, 'meta', CASES), join(META_BOXSHIP, CASES),
    ],
    {
      cwd: folder,
      env: {
        PATH: `${join(folder, 'bin')}:${programPath()}`,
        PYTHONPATH: join(checkout(release, 'bitbake'), 'lib'),
        PYTHONDONTWRITEBYTECODE: '1',
        ...env,
      },
      accept: [0, 1],
    },
  ); // prettier-ignore
  const [file] = await readdir(results);
  expect(file, stdout.toString().slice(-2000)).toBeDefined();
  const document = JSON.parse(await readFile(join(results, file!), 'utf8')) as Record<
    string,
    { readonly result: Readonly<Record<string, { readonly status: string }>> }
  >;
  const { result } = Object.values(document)[0]!;
  expect(result['ssh.SSHTest.test_ssh']!.status).toBe('PASSED');
  const own = Object.entries(result).filter(([name]) => name.startsWith('boxship.BoxshipTest.test_'));
  return Object.fromEntries(own.map(([name, { status }]) => [name.slice('boxship.BoxshipTest.test_'.length), status]));
}
