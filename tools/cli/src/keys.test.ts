import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadPrivateKey, signBlob } from 'cosign-node-binding';
import { runProgram, startProgram } from '@boxship/host';
import { buildProgram, type BuiltProgram } from './testing/built-program.ts';

const PASSWORD = { COSIGN_PASSWORD: 'correct horse' };
const BLOB = Buffer.from('what was signed\n'.repeat(1000));

let program: BuiltProgram;
beforeAll(async () => {
  program = await buildProgram();
});
afterAll(async () => {
  await program[Symbol.asyncDispose]();
});

/** Signs BLOB with a key that the program made, as compose does. */
async function sign(prefix: string, name: string): Promise<{ file: string; signature: string; publicKey: string }> {
  const pem = await readFile(join(program.folder, `${prefix}.key`), 'utf8');
  const signature = await signBlob(await loadPrivateKey(pem, PASSWORD.COSIGN_PASSWORD), BLOB);
  const file = await program.write(name, BLOB);
  await program.write(`${name}.sig`, signature.raw);
  await program.write(`${name}.sigstore.json`, signature.bundle);
  return {
    file,
    signature: await program.write(`${name}.der`, signature.bytes),
    publicKey: join(program.folder, `${prefix}.pub`),
  };
}

describe('keygen', () => {
  it('makes a pair whose signatures openssl and verify accept', async () => {
    const made = await program.run(['keygen', '--output-key-prefix', 'keys/release', '--json'], PASSWORD);
    expect({ code: made.code, stderr: made.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(made.stdout)).toMatchObject({
      privateKey: 'keys/release.key',
      publicKey: 'keys/release.pub',
      development: false,
    });
    const { file, signature, publicKey } = await sign('keys/release', 'blob');
    const openssl = await runProgram('openssl', ['dgst', '-sha256', '-verify', publicKey, '-signature', signature, file]); // prettier-ignore
    expect(openssl.stdout.toString()).toBe('Verified OK\n');
    const { code, stdout } = await program.run(['verify', 'blob', '--key', publicKey]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^verified with the key /m);
  });

  it('keeps the private key for its owner, whatever the umask', async () => {
    await program.run(['keygen', '--output-key-prefix', 'keys/mode'], PASSWORD);
    expect((await stat(join(program.folder, 'keys/mode.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(program.folder, 'keys/mode.pub'))).mode & 0o777).toBe(0o644);
  });

  it('never overwrites a key, and leaves no half pair', async () => {
    await program.write('keys/old.pub', 'somebody needs this');
    const { code, stderr } = await program.run(['keygen', '--output-key-prefix', 'keys/old'], PASSWORD);
    expect(code).toBe(1);
    expect(stderr).toContain('error: keys/old.pub exists; a key is never overwritten');
    expect(await readFile(join(program.folder, 'keys/old.pub'), 'utf8')).toBe('somebody needs this');
    await expect(stat(join(program.folder, 'keys/old.key'))).rejects.toThrow('ENOENT');
  });

  it('does not wait for a password that nobody can type', async () => {
    const { code, stderr } = await program.run(['keygen']);
    expect(code).toBe(1);
    expect(stderr).toContain('hint: Set COSIGN_PASSWORD in the environment.');
  });

  it('asks for the password twice on a terminal and does not show it', async () => {
    // `script` gives the program a terminal; its -c is a command line.
    const command = `${process.execPath} ${program.file} keygen --output-key-prefix keys/typed`;
    let screen = '';
    const questions = ['Password for the new key: ', 'Once more: '];
    const typist = await startProgram('script', ['-qec', command, '/dev/null'], {
      cwd: program.folder,
      env: program.env,
      onOutput(chunk) {
        screen += chunk.toString();
        if (questions.length > 0 && screen.includes(questions[0]!)) {
          questions.shift();
          typist.write(`${PASSWORD.COSIGN_PASSWORD}\r`);
        }
      },
    });
    expect(await typist.ended).toEqual({ code: 0, signal: null });
    expect(screen).toContain('private key  keys/typed.key');
    expect(screen).not.toContain('horse');
    await sign('keys/typed', 'typed'); // opens with the password
  });

  it('marks a development key', async () => {
    const { stdout } = await program.run(['keygen', '--development', '--output-key-prefix', 'keys/dev', '--json'], PASSWORD); // prettier-ignore
    expect(JSON.parse(stdout)).toMatchObject({ development: true });
    expect(await readFile(join(program.folder, 'keys/dev.pub'), 'utf8')).toContain('# purpose: development\n');
  });
});

describe('import-key', () => {
  it('brings a key of openssl into the format, the same key', async () => {
    const pem = join(program.folder, 'company.pem');
    await runProgram('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', pem]);
    const { code } = await program.run(['import-key', 'company.pem', '--output-key-prefix', 'keys/company'], PASSWORD);
    expect(code).toBe(0);
    const expected = await runProgram('openssl', ['pkey', '-in', pem, '-pubout']);
    expect(await readFile(join(program.folder, 'keys/company.pub'), 'utf8')).toBe(expected.stdout.toString());
  });

  it('tells of a file that is no key, with the path that is missing', async () => {
    await program.write('notes.txt', 'no key');
    expect((await program.run(['import-key', 'notes.txt'], PASSWORD)).code).toBe(1);
    const { code, stderr } = await program.run(['import-key', 'nowhere.pem'], PASSWORD);
    expect(code).toBe(1);
    expect(stderr).toContain('error: there is no key file nowhere.pem');
  });
});

describe('verify', () => {
  it('ends with code 3 for one flipped bit, a missing signature and a foreign key', async () => {
    await program.run(['keygen', '--output-key-prefix', 'keys/a'], PASSWORD);
    await program.run(['keygen', '--output-key-prefix', 'keys/b'], PASSWORD);
    await sign('keys/a', 'good');
    expect((await program.run(['verify', 'good', '--key', 'keys/a.pub'])).code).toBe(0);
    expect((await program.run(['verify', 'good', '--key', 'keys/b.pub'])).code).toBe(3);

    await sign('keys/a', 'flipped');
    const flipped = Buffer.from(BLOB);
    flipped[500]! ^= 1;
    await program.write('flipped', flipped);
    const { code, stdout } = await program.run(['verify', 'flipped', '--key', 'keys/a.pub', '--json']);
    expect(code).toBe(3);
    expect((JSON.parse(stdout) as { error: { exitCode: number } }).error.exitCode).toBe(3);

    await program.write('unsigned', BLOB);
    expect((await program.run(['verify', 'unsigned', '--key', 'keys/a.pub'])).code).toBe(3);
  });

  it('ends with code 1 when what was named does not exist', async () => {
    await program.run(['keygen', '--output-key-prefix', 'keys/c'], PASSWORD);
    expect((await program.run(['verify', 'nowhere', '--key', 'keys/c.pub'])).code).toBe(1);
    expect((await program.run(['verify', 'nowhere', '--key', 'keys/nowhere.pub'])).code).toBe(1);
  });
});
