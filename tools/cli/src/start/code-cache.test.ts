import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileProgram } from './code-cache.ts';

const TEXT = '(function (a) { function twice(b) { return b * 2; } return twice(a); })';
let folder = '';
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'boxship-code-')), 'code');
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

/** Compiles, runs and keeps; says whether kept code was taken. */
function run(text = TEXT, key: readonly string[] = ['k']): boolean {
  const program = compileProgram(text, { filename: 'program.js' }, folder, key);
  expect((program.script.runInThisContext() as (a: number) => number)(21)).toBe(42);
  program.save();
  return program.isCached;
}

async function keptFile(): Promise<string> {
  const [name, ...others] = await readdir(folder);
  expect(others).toEqual([]);
  return join(folder, name!);
}

describe('compiled code that is kept', () => {
  it('is taken by the next run of the same program, and by no other', async () => {
    expect(run()).toBe(false);
    expect(run()).toBe(true);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(run(TEXT, ['other flags'])).toBe(false);
    expect(run(`${TEXT} `)).toBe(false);
    expect(run()).toBe(true);
  });

  it('is not taken when it is damaged or cut off, and is replaced', async () => {
    run();
    const file = await keptFile();
    const bytes = await readFile(file);
    for (const at of [0, 40, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      await writeFile(file, damaged);
      expect(run(), `byte ${at}`).toBe(false);
      expect(run()).toBe(true);
    }
    await truncate(file, bytes.length - 100);
    expect(run()).toBe(false);
    await truncate(file, 0);
    expect(run()).toBe(false);
    expect(run()).toBe(true);
  });

  it('is not taken when somebody else can write it', async () => {
    run();
    const file = await keptFile();
    await chmod(file, 0o620);
    expect(run()).toBe(false); // and replaced by one of ours
    expect(run()).toBe(true);
    await chmod(folder, 0o777);
    expect(run()).toBe(false);
    await chmod(folder, 0o700);
    const moved = `${folder}-moved`;
    await writeFile(moved, await readFile(file));
    await rm(file);
    await symlink(moved, file);
    expect(run()).toBe(false);
  });

  it('does not grow without end, and a folder that cannot be is no error', async () => {
    for (let index = 0; index < 30; index++) run(TEXT, [String(index)]);
    expect((await readdir(folder)).length).toBe(24);
    expect(run(TEXT, ['29'])).toBe(true);
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file');
    expect(run()).toBe(false);
    expect(await readFile(folder, 'utf8')).toBe('a file');
    await rm(folder);
    await mkdir(folder, { mode: 0o500 });
    expect(run()).toBe(false);
  });
});
