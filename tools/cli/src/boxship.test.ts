import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startProgram } from '@boxship/host';
import { exitCodeTable } from './exit-codes.ts';
import { COMPOSE_FILE, PRODUCT, buildProgram, type BuiltProgram } from './testing/built-program.ts';

const COMMANDS = [
  'lock',
  'plan',
  'compose',
  'verify',
  'flash',
  'boot',
  'assess',
  'machines',
  'keygen',
  'import-key',
  'schema',
  'version',
];

let program: BuiltProgram;
beforeAll(async () => {
  program = await buildProgram();
});
afterAll(async () => {
  await program[Symbol.asyncDispose]();
});

describe('help', () => {
  it('says what every command does, with examples', async () => {
    const texts: string[] = [];
    for (const args of [['--help'], ...COMMANDS.map((command) => [command, '--help'])]) {
      const { code, stdout, stderr } = await program.run(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      texts.push(`$ boxship ${args.join(' ')}\n${stdout}`);
    }
    await expect(texts.join('\n')).toMatchFileSnapshot('golden/help.txt');
  });

  it('lists every exit code', async () => {
    const { stdout } = await program.run(['--help']);
    for (const [code, meaning] of exitCodeTable) expect(stdout).toMatch(new RegExp(`^  ${code} +${meaning.replace(/[()]/g, '.')}$`, 'm')); // prettier-ignore
  });

  it('goes to stderr with code 2 when the command is missing', async () => {
    const { code, stdout, stderr } = await program.run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: boxship <command>');
  });
});

describe('a wrong command line', () => {
  it.each([
    [['lokc'], "error: unknown command 'lokc'\n(Did you mean lock?)\n"],
    [['lock', '--frozn'], "error: unknown option '--frozn'\n(Did you mean --frozen?)\n"],
    [['verify', 'x'], "error: required option '--key <file>' not specified\n"],
    [['verify', '--key', 'x'], "error: missing required argument 'path'\n"],
    [['boot', 'x', '--timeout', 'soon'], "error: option '--timeout <seconds>' argument 'soon' is invalid. It must be a number of seconds above 0.\n"],
  ])('%j ends with code 2', async (args, message) => {
    expect(await program.run(args)).toEqual({ code: 2, stdout: '', stderr: message });
  }); // prettier-ignore

  it('is JSON on stdout with --json, and nothing else', async () => {
    const { code, stdout, stderr } = await program.run(['--json', 'lock', '--frozn']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      error: {
        exitCode: 2,
        problems: [{ code: 'USAGE', message: "unknown option '--frozn'", hint: 'Did you mean --frozen?' }],
      },
    });
  });
});

describe('a wrong product file', () => {
  it('is told with file:line:column, a hint, and all mistakes at once', async () => {
    await program.write('bad.yaml', PRODUCT.replace('apps:', 'aps:'));
    const { code, stdout, stderr } = await program.run(['plan', '-f', 'bad.yaml']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('error: bad.yaml:6:1: unknown key "aps" in the file');
    expect(stderr).toContain('  hint: Did you mean "apps"?');
    expect(stderr).toMatch(/error: bad\.yaml:1:1: the file lacks "apps"/);
    expect(stderr).toMatch(/^2 errors$/m);
  });

  it('is told as JSON with --json', async () => {
    await program.write('typo.yaml', PRODUCT.replace('base:', 'bse:'));
    const { code, stdout, stderr } = await program.run(['lock', '--json', '-f', 'typo.yaml']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const { error } = JSON.parse(stdout) as {
      error: { exitCode: number; problems: { code: string; where: object }[] };
    };
    expect(error.exitCode).toBe(1);
    expect(error.problems[0]).toMatchObject({ code: 'UNKNOWN_KEY', where: { file: 'typo.yaml', line: 5 } });
  });

  it('is told when there is none', async () => {
    const { code, stderr } = await program.run(['plan']);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'error: there is no boxship.yaml\n  hint: Run in the folder of boxship.yaml, or name it: -f FILE.\n',
    );
  });
});

describe('an input that is missing', () => {
  it('is told by lock, by plan and by lock --frozen', async () => {
    await program.write('product/boxship.yaml', PRODUCT);
    await program.write('product/compose.yaml', COMPOSE_FILE);
    const lock = await program.run(['lock', '-f', 'product/boxship.yaml']);
    expect(lock.code).toBe(1);
    expect(lock.stderr).toMatch(/^error: product\/boxship\.yaml:5:3: there is no file .*vendor\.img$/m);
    for (const command of [['plan'], ['compose'], ['lock', '--frozen']]) {
      const { code, stderr } = await program.run([...command, '-f', 'product/boxship.yaml']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^error: there is no .*boxship\.lock\n {2}hint: Run: boxship lock$/m);
    }
  });
});

describe('schema and version', () => {
  it('prints the schema that editors take', async () => {
    const { code, stdout } = await program.run(['schema']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ title: 'Boxship product file, boxship.yaml' });
  });

  it('prints the version, as JSON too', async () => {
    const { stdout } = await program.run(['version', '--json']);
    const { boxship } = JSON.parse(stdout) as { boxship: string };
    expect((await program.run(['--version'])).stdout).toBe(`${boxship}\n`);
    expect((await program.run(['version'])).stdout).toBe(`boxship ${boxship} (node ${process.version})\n`);
  });
});

describe('an interruption', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('by %s ends a lock with code 130 and no lock file', async (signal) => {
    let asked = () => {};
    const connected = new Promise<void>((resolve) => (asked = resolve));
    const silent = createServer(() => asked()); // a registry that never answers
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const registry = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    try {
      await program.write('slow/vendor.img', 'a base image; lock only takes its digest');
      await program.write('slow/compose.yaml', `services: { app: { image: '${registry}/app:1' } }\n`);
      const product = await program.write('slow/boxship.yaml', PRODUCT.replace(/^images:\n.*\n/m, ''));
      let stderr = '';
      const started = await startProgram(process.execPath, [program.file, 'lock', '-f', product], {
        env: program.env,
        onErrors: (chunk) => (stderr += chunk.toString()),
      });
      await connected;
      process.kill(started.pid, signal);
      expect(await started.ended).toEqual({ code: 130, signal: null });
      expect(stderr).toContain('error: interrupted\n');
      const { stderr: frozen } = await program.run(['lock', '--frozen', '-f', product]);
      expect(frozen).toContain('boxship.lock');
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });
});
