import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programPath, runProgram } from './run-program.ts';
import { withScratch } from './scratch.ts';

const sh = (script: string, options = {}) => runProgram('sh', ['-c', script], options);

describe('runProgram', () => {
  it('gives what was printed; the environment is small and fixed', async () => {
    process.env['BOXSHIP_TEST_LEAK'] = '1';
    const { code, stdout, stderr } = await sh('echo "$TZ $LC_ALL $MORE[$BOXSHIP_TEST_LEAK]"; echo no >&2', { env: { MORE: 'x' } });
    delete process.env['BOXSHIP_TEST_LEAK'];
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({ code: 0, stdout: 'UTC C.UTF-8 x[]\n', stderr: 'no\n' });
  }); // prettier-ignore

  it('writes input, also to a program that does not read it', async () => {
    expect((await runProgram('cat', [], { input: 'abc' })).stdout.toString()).toBe('abc');
    expect((await runProgram('true', [], { input: Buffer.alloc(4 << 20) })).code).toBe(0);
  });

  it('fails with the end of stderr, unless the code is a result', async () => {
    await expect(sh('echo first; echo bad thing >&2; exit 3')).rejects.toMatchObject({
      code: 'PROGRAM_FAILED',
      message: 'sh ended with exit code 3: bad thing',
    });
    expect((await sh('exit 3', { accept: [0, 3] })).code).toBe(3);
    await expect(sh('kill -9 $$')).rejects.toMatchObject({ message: expect.stringContaining('SIGKILL') as string });
  });

  it('stands back in line for a core when it is told to, and what it starts as well', async () => {
    const nices = async (options = {}) => (await sh('sleep 0.1; nice; sh -c nice', options)).stdout.toString();
    const own = getPriority();
    const back = Math.min(19, own + 5);
    expect(await nices()).toBe(`${own}\n${own}\n`);
    expect(await nices({ niceness: 5 })).toBe(`${back}\n${back}\n`);
    await expect(runProgram('no-such-program', [], { niceness: 5 })).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
  });

  it('names the Debian package of a program that is missing', async () => {
    await expect(runProgram('no-such-program', [])).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
    const { PATH } = process.env;
    process.env['PATH'] = '/nowhere';
    expect(programPath()).toBe('/nowhere:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin');
    process.env['PATH'] = PATH;
  });

  it('kills what takes too long', async () => {
    await expect(sh('exec sleep 60', { timeout: 50 })).rejects.toMatchObject({ code: 'PROGRAM_TIMEOUT' });
  });

  it('when stopped, has ended the program before it says so', async () => {
    await withScratch(async (folder) => {
      const [started, ended] = [join(folder, 'started'), join(folder, 'ended')];
      const stop = new AbortController();
      const script = `trap "" TERM; : > '${started}'; while [ ! -e '${folder}/go' ]; do sleep 0.05; done; : > '${ended}'`;
      const running = sh(script, { signal: stop.signal });
      await expect.poll(() => existsSync(started)).toBe(true);
      stop.abort();
      await writeFile(join(folder, 'go'), '');
      await expect(running).rejects.toMatchObject({ name: 'AbortError' });
      expect(existsSync(ended)).toBe(true);
    });
  });

  it('that is stopped for a reason fails with it', async () => {
    const stop = new AbortController();
    const running = sh('exec sleep 60', { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('the disk is full')), 20);
    await expect(running).rejects.toThrow('the disk is full');
  });

  it('does not start when it was stopped before', async () => {
    await expect(sh('exit 0', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });
});
