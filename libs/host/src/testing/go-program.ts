import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { runProgram } from '../run-program.ts';

/**
 * For tests: path of the program that the Go file `source` makes with the libraries below `gopath`, as Debian's golang-*-dev packages
 * lay them out. Built once for each content of the file, without a network. Errors: PROGRAM_MISSING, PROGRAM_FAILED.
 */
export async function buildGoProgram(source: string, gopath: string): Promise<string> {
  const digest = createHash('sha256').update(gopath).update(await readFile(source)).digest('hex').slice(0, 16); // prettier-ignore
  const name = `${basename(dirname(source))}-${basename(source, '.go')}`;
  const path = join(tmpdir(), `boxship-${name}-${process.getuid?.() ?? 0}-${digest}`);
  if (existsSync(path)) return path;
  const scratch = await mkdtemp(join(tmpdir(), 'boxship-go-'));
  try {
    const env = { GO111MODULE: 'off', GOPATH: gopath, GOCACHE: join(scratch, 'cache'), GOFLAGS: '', HOME: scratch };
    await runProgram('go', ['build', '-o', join(scratch, 'program'), source], { env });
    await rename(join(scratch, 'program'), path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}
