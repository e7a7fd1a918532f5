import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programPath, runProgram } from '@boxship/host';

// What `npm run setup` does on machines that are not this one, with stand-ins for their programs.

const SETUP = fileURLToPath(new URL('../../tools/setup/', import.meta.url));

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-setup-test-'));
  await chmod(folder, 0o777); // another user looks in
  await mkdir(join(folder, 'bin'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function standIn(name: string, script: string): Promise<void> {
  await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** Runs a line of JavaScript as somebody who is not root. */
async function asUser(script: string) {
  const own = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const words = [...own, process.execPath, '--input-type=module', '--eval', script];
  // a worktree that only root may enter is copied for the other user
  return await runProgram(words[0]!, words.slice(1), {
    env: { PATH: `${join(folder, 'bin')}:${programPath()}`, HOME: folder },
    accept: [0, 1],
  });
}

const install = async () => {
  await runProgram('cp', ['-r', `${SETUP}.`, join(folder, 'setup')]);
  await runProgram('chmod', ['-R', 'a+rX', join(folder, 'setup')]);
  return await asUser(
    `import('${join(folder, 'setup/debian-packages.mjs')}').then((m) => m.installDebianPackages()).catch((e) => { console.error(e.message); process.exitCode = 1; })`,
  );
};

describe('setup as an ordinary user', () => {
  it('goes through a sudo that asks for no password: lists, packages, and no daemon is started meanwhile', async () => {
    await standIn('dpkg-query', 'echo "base-files installed"');
    await standIn('sudo', `echo "$*" >> ${folder}/calls`);
    const { code, stderr } = await install();
    expect(code).toBe(1);
    expect(stderr).toContain('apt-get succeeded, but these are still missing'); // the stand-in has installed nothing
    const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
    const hasPolicy = calls.some((call) => call.includes('policy-rc.d')); // a container may have its own
    expect(calls[0]).toBe('-n true');
    if (hasPolicy) {
      expect(calls[1]).toMatch(/^-n install -m 755 \S+ \/usr\/sbin\/policy-rc\.d$/);
      expect(calls.at(-1)).toBe('-n rm -f /usr/sbin/policy-rc.d');
    }
    const apt = calls.filter((call) => call.includes('apt-get'));
    expect(apt[0]).toMatch(/^-n env DEBIAN_FRONTEND=noninteractive .* update -q$/);
    expect(apt[1]).toMatch(/ install -y -q --no-remove --no-install-recommends .*\be2fsprogs\b/);
  });

  it('without one says the exact line to run', async () => {
    await standIn('dpkg-query', 'echo "base-files installed"');
    await standIn('sudo', 'echo "sudo: a password is required" >&2; exit 1');
    const { code, stderr } = await install();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /\n {2}sudo apt-get update && sudo apt-get install -y --no-install-recommends .*\be2fsprogs\b/,
    );
  });

  it('on another system says so', async () => {
    await standIn('dpkg-query', 'exit 127');
    await rm(join(folder, 'bin/dpkg-query'));
    await standIn('sudo', 'exit 1');
    await mkdir(join(folder, 'empty'));
    await runProgram('cp', ['-r', `${SETUP}.`, join(folder, 'setup')]);
    const script = `import('${join(folder, 'setup/debian-packages.mjs')}').then((m) => m.installDebianPackages()).catch((e) => console.log(e.message))`;
    const result = await runProgram(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: join(folder, 'empty') },
    });
    expect(result.stdout.toString()).toContain('this is no Debian or Ubuntu system');
  });
});

describe('what bitbake needs', () => {
  const prepare = async (env: string) => {
    await runProgram('cp', ['-r', `${SETUP}.`, join(folder, 'setup')]);
    await runProgram('chmod', ['-R', 'a+rX', join(folder, 'setup')]);
    const { yocto } = JSON.parse(await readFile(join(SETUP, 'debian-packages.json'), 'utf8')) as { yocto: { name: string }[] };
    await standIn('dpkg-query', yocto.map(({ name }) => `echo "${name} installed"`).join('\n'));
    await standIn('locale', 'printf "C\\nC.utf8\\n"');
    await standIn('sudo', `echo "$*" >> ${folder}/calls`);
    return await asUser(
      `import('${join(folder, 'setup/bitbake-host.mjs')}').then((m) => m.prepareForBitbake(${env})).catch((e) => { console.error(e.message); process.exitCode = 1; })`,
    );
  };

  it('is not looked at where no layers are, and none are asked for', async () => {
    const { code, stdout, stderr } = await prepare(`{ BOXSHIP_YOCTO_FOLDER: '${join(folder, 'nowhere')}' }`);
    expect({ code, said: stdout.toString() + stderr }).toEqual({ code: 0, said: '' });
  });

  it('and is missing is named with the line to run', async () => {
    const { code, stderr } = await prepare(`{ BOXSHIP_YOCTO_FOLDER: '${folder}' }`);
    expect(code).toBe(1);
    expect(stderr).toContain('\n  sudo localedef -i en_US -f UTF-8 en_US.UTF-8\n');
  });
}); // prettier-ignore

describe('programs of Debian', () => {
  const tools = join(SETUP, 'debian-tools.mjs');
  // no download: its only source is what is looked at, and the download fails at once
  const fetchFrom = async (target: string, more: Readonly<Record<string, string>> = {}) => {
    await standIn('apt-get', `case "$*" in *indextargets*) echo "${target}" ;; *) exit 100 ;; esac`);
    const cache = join(folder, 'cache');
    const env = { PATH: `${join(folder, 'bin')}:${programPath()}`, BOXSHIP_TEST_CACHE: cache, HOME: folder, ...more };
    const result = await runProgram(process.execPath, [tools, 'cosign/trixie'], { env, accept: [0, 1] });
    expect(result.code).toBe(1);
    return { ...result, list: join(cache, 'apt/trixie/sources.list') };
  };
  const MIRROR = 'http://mirror.example.com/debian';

  it.each([
    ['of its own sources', `trixie main ${MIRROR}`, {}],
    ['that is named, on Ubuntu', 'noble main http://mirror.example.com/ubuntu', { BOXSHIP_DEBIAN_MIRROR: MIRROR }],
  ])('come from the Debian mirror %s, verified with its keyring', async (_name, target, more) => {
    const { list } = await fetchFrom(target, more);
    expect(await readFile(list, 'utf8')).toBe(
      `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${MIRROR} trixie main\n`,
    );
  });

  it('on Ubuntu need a mirror that is named, and the error says how', async () => {
    const { stderr } = await fetchFrom('noble main http://mirror.example.com/ubuntu');
    expect(stderr).toContain('BOXSHIP_DEBIAN_MIRROR');
  });
});
