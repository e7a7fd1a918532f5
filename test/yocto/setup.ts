import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';
import type { TestProject } from 'vitest/node';
import { compileModules, fetchCheckouts } from './checkouts.ts';
import { LISTING, writeResultsPage } from './results-page.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The program as users get it, far from any node_modules. */
    program: string;
  }
}

/** Clones layers where that was asked for, makes the program, and writes down in the end what was found. */
export default async function setup(project: TestProject) {
  if (process.env[LISTING]) return;
  await fetchCheckouts();
  await compileModules();
  const scratch = await mkdtemp(join(tmpdir(), 'boxship-yocto-'));
  await chmod(scratch, 0o755);
  const build = fileURLToPath(new URL('../../tools/cli/build.mjs', import.meta.url));
  await runProgram(process.execPath, [build, join(scratch, 'bin')]);
  project.provide('program', join(scratch, 'bin/boxship.mjs'));
  return async () => {
    await rm(scratch, { recursive: true, force: true });
    await writeResultsPage();
  };
}
