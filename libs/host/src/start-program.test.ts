import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { withScratch } from './scratch.ts';
import { startProgram } from './start-program.ts';

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('startProgram', () => {
  it('hands over what the program prints, and what we write', async () => {
    let output = '';
    const cat = await startProgram('cat', [], { onOutput: (chunk) => (output += chunk.toString()) });
    cat.write('one\n');
    await expect.poll(() => output).toBe('one\n');
    await cat.stop();
    expect(await cat.ended).toEqual({ code: null, signal: 'SIGTERM' });
    cat.write('nobody reads this'); // no error
  });

  it('insists when a program does not want to end', async () => {
    let output = '';
    const script = 'trap "" TERM; echo ready; while :; do sleep 0.1; done';
    const stubborn = await startProgram('sh', ['-c', script], { onOutput: (chunk) => (output += chunk.toString()) });
    await expect.poll(() => output).toBe('ready\n');
    await stubborn.stop(200);
    expect((await stubborn.ended).signal).toBe('SIGKILL');
  });

  it('says that a program is missing, with its package', async () => {
    await expect(startProgram('qemu-img-missing', [])).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
  });

  it('leaves no listeners behind', async () => {
    const before = process.listenerCount('SIGINT');
    const program = await startProgram('true', []);
    await program.ended;
    expect(process.listenerCount('SIGINT')).toBe(before);
    expect(process.listenerCount('exit')).toBeLessThanOrEqual(before + 10);
  });

  it('ends the program when this process is interrupted', async () => {
    await withScratch(async (folder) => {
      const outfile = join(folder, 'parent.mjs');
      const contents = `import { startProgram } from './start-program.ts';
        const program = await startProgram('sleep', ['600']);
        console.log(program.pid);
        setInterval(() => {}, 1000);`;
      const stdin = { contents, resolveDir: import.meta.dirname, loader: 'ts' as const };
      await build({ stdin, outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' });
      const parent = spawn(process.execPath, [outfile], { stdio: ['ignore', 'pipe', 'inherit'] });
      const pid = await new Promise<number>((done) => parent.stdout.once('data', (chunk) => done(Number(chunk))));
      expect(alive(pid)).toBe(true);
      const ended = new Promise((done) => parent.once('exit', (_, signal) => done(signal)));
      parent.kill('SIGINT');
      expect(await ended).toBe('SIGINT');
      await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
    });
  });
});
