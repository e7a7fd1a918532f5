import { chmod, copyFile, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';

/* The scripts that the units call on the device, run by this machine's shells with stand-ins for docker and systemctl. */

const SCRIPTS = new URL('../../../../templates/engines/run-units/apps/[app]/', import.meta.url).pathname;
const CONTAINERD = new URL('../../../../templates/engines/containerd/apps/[app]/', import.meta.url).pathname;

async function findShells(): Promise<readonly (readonly string[])[]> {
  const shells = [['sh']];
  const busybox = await runProgram('busybox', ['sh', '-c', 'true']).catch(() => undefined);
  if (busybox) shells.push(['busybox', 'sh']);
  else if (process.env['CI'] === 'true') throw new Error('busybox is missing');
  return shells;
}
const shells = await findShells();

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-scripts-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

async function run(shell: readonly string[], script: string, args: readonly string[]) {
  return await runProgram(shell[0]!, [...shell.slice(1), join(SCRIPTS, script), ...args], {
    env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    accept: [0, 1, 2, 9],
    timeout: 20_000,
  });
}

describe.each(shells.map((shell) => [shell.join(' '), shell] as const))('with %s', (name, shell) => {
  // busybox takes its own sleep rather than the stand-in: with it, only what needs no waiting is tried
  const canWait = name === 'sh';

  describe('await.sh', () => {
    /** Each look at the world takes the next line of `world` ("ActiveState ExecMainStatus answer-of-docker"); a 20th fails. */
    async function wait(condition: string, need: string, world: readonly string[]) {
      await writeFile(join(folder, 'world'), `${world.join('\n')}\n`);
      await writeFile(join(folder, 'turn'), '1');
      const line = `line=$(sed -n "$(cat '${folder}/turn')p" '${folder}/world'); [ -n "$line" ] || line=$(tail -n 1 '${folder}/world'); set -- $line "" ""`;
      await program('systemctl', `property=$3; ${line}; case $property in ActiveState) echo "ActiveState=$1";; *) echo "ExecMainStatus=$2";; esac`); // prettier-ignore
      const docker = await program('docker', `[ "$1" = inspect ] && [ "$4" = app-db-1 ] || exit 9; ${line}; [ -n "$3" ] && [ "$3" != gone ] && echo "$3" || exit 1`); // prettier-ignore
      // time passes: the script is ended when nothing more will happen
      await program('sleep', `turn=$(cat '${folder}/turn'); [ "$turn" -lt 20 ] || { kill -9 $PPID; exit; }; echo $((turn + 1)) > '${folder}/turn'`); // prettier-ignore
      const result = await run(shell, 'await.sh', [condition, need, 'boxship-app-db.service', 'app-db-1', docker]).then(
        ({ code, stdout }) => ({ code: code as number | 'waits', told: stdout.toString() }),
        (error: Error) => {
          if (!error.message.includes('SIGKILL')) throw error;
          return { code: 'waits' as const, told: error.message };
        },
      );
      return { ...result, turns: Number(await readFile(join(folder, 'turn'), 'utf8')) };
    }

    it.each([
      ['service_started', 'required', ['active 0 true'], 0, 1],
      ['service_started', 'required', ['activating 0 gone', 'active 0 false', 'active 0 true'], 0, 3],
      ['service_started', 'required', ['inactive 0 gone'], 0, 1],
      ['service_started', 'required', ['failed 3 gone'], 0, 1],
      ['service_started', 'required', ['failed 125 gone'], 'waits', 20],
      ['service_started', 'optional', ['failed 125 gone'], 0, 1],
      ['service_healthy', 'required', ['active 0 starting', 'active 0 unhealthy', 'active 0 healthy'], 0, 3],
      ['service_healthy', 'required', ['failed 1 gone'], 'waits', 20],
      ['service_healthy', 'required', ['active 0 none'], 'waits', 20],
      ['service_healthy', 'optional', ['active 0 starting', 'active 0 unhealthy'], 0, 2],
      ['service_completed_successfully', 'required', ['activating 0 gone', 'active 0 gone'], 0, 2],
      ['service_completed_successfully', 'required', ['failed 1 gone', 'failed 1 gone', 'active 0 gone'], 0, 3],
      ['service_completed_successfully', 'optional', ['failed 1 gone'], 0, 1],
    ] as const)('%s, %s: %j', async (condition, need, world, code, turns) => {
      if (!canWait && turns > 1) return;
      const result = await wait(condition, need, world);
      expect({ code: result.code, turns: result.turns }).toEqual({ code, turns });
    });

    it.runIf(canWait)('tells once why it waits', async () => {
      const { told } = await wait('service_healthy', 'required', [
        'failed 1 gone',
        'failed 1 gone',
        'active 0 healthy',
      ]);
      expect(told).toBe('boxship: boxship-app-db.service: is failed; service_healthy is required\n');
    });

    it.runIf(canWait).each([
      ['service_started', 'required', 'app-db-1    42    RUNNING', 'active', 0],
      ['service_started', 'required', 'app-db-12    42    RUNNING\napp-db-1    42    STOPPED', 'active', 'waits'],
      ['service_started', 'required', '', 'failed', 'waits'],
      ['service_started', 'optional', '', 'failed', 0],
      ['service_completed_successfully', 'required', '', 'active', 0],
    ] as const)('with what containerd tells: %s, %s: %j, %s', async (condition, need, tasks, state, code) => {
      // on the device, the scripts of an engine lie beside those of all
      await copyFile(join(SCRIPTS, 'await.sh'), join(folder, 'await.sh'));
      await copyFile(join(CONTAINERD, 'container-state.sh'), join(folder, 'container-state.sh'));
      await program('systemctl', `echo "$3=${state}"`);
      const ctr = await program('ctr', `[ "$*" = "-n acme tasks ls" ] || exit 9; printf 'TASK    PID    STATUS\\n${tasks.replaceAll('\n', '\\n')}\\n'`); // prettier-ignore
      await program('sleep', 'kill -9 $PPID');
      const args = [condition, need, 'boxship-app-db.service', 'app-db-1', ctr, 'acme'];
      const result = await runProgram('sh', [join(folder, 'await.sh'), ...args], {
        env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
        timeout: 20_000,
      }).then(
        ({ code: ended }) => ended as number | 'waits',
        (error: Error) => (error.message.includes('SIGKILL') ? 'waits' : error.message),
      );
      expect(result).toBe(code);
    });

    it('refuses a condition it does not know', async () => {
      expect((await wait('service_happy', 'required', ['active 0 true'])).code).toBe(2);
    });
  });

  describe("containerd's container.sh", () => {
    /** A ctr that has the container app-db-1 until it is killed: by the first signal, or by SIGKILL alone. */
    async function ctrWith(obeys: boolean): Promise<string> {
      const gone = join(folder, 'gone');
      const kill = obeys ? `touch '${gone}'` : `case "$*" in *SIGKILL*) touch '${gone}';; esac`;
      return await program('ctr', `[ "$1 $2" = "-n acme" ] || exit 9; shift 2; case "$1 $2" in "tasks ls") [ -e '${gone}' ] || echo 'app-db-1    42    RUNNING';; *) echo "$*" >>'${folder}/said'; case "$1 $2" in "tasks kill") ${kill};; "containers info") [ ! -e '${folder}/none' ];; esac;; esac`); // prettier-ignore
    }
    const container = async (ctr: string, ...words: string[]) => {
      for (const name of ['container.sh', 'container-state.sh'])
        await copyFile(join(CONTAINERD, name), join(folder, name));
      const { code } = await runProgram(shell[0]!, [...shell.slice(1), join(folder, 'container.sh'), ctr, 'acme', 'app-db-1', ...words], { accept: [0, 1, 2, 9], timeout: 20_000 }); // prettier-ignore
      const said = await readFile(join(folder, 'said'), 'utf8').catch(() => '');
      return { code, said: said.split('\n').filter(Boolean) };
    };

    it('asks by the given signal, or by that of the image, and kills when the time is over', async () => {
      expect(await container(await ctrWith(true), 'stop', '5', 'SIGINT')).toEqual({ code: 0, said: ['tasks kill --signal SIGINT app-db-1'] }); // prettier-ignore
      expect(await container(await ctrWith(true), 'stop', '5')).toMatchObject({
        code: 0,
        said: ['tasks kill --signal SIGINT app-db-1'],
      }); // it is gone: nobody is asked
      await rm(join(folder, 'gone'));
      await rm(join(folder, 'said'));
      expect(await container(await ctrWith(false), 'stop', '1')).toEqual({ code: 0, said: ['tasks kill app-db-1', 'tasks kill --all --signal SIGKILL app-db-1'] }); // prettier-ignore
    });

    it('takes away what a run before has left, and nothing where there is nothing', async () => {
      const ctr = await ctrWith(true);
      expect((await container(ctr, 'clean')).said).toEqual(['containers info app-db-1', 'tasks kill --all --signal SIGKILL app-db-1', 'tasks rm --force app-db-1', 'containers rm app-db-1']); // prettier-ignore
      await rm(join(folder, 'said'));
      await writeFile(join(folder, 'none'), '');
      expect(await container(ctr, 'clean')).toEqual({ code: 0, said: ['containers info app-db-1'] });
      expect((await container(ctr, 'dance')).code).toBe(2);
    });
  });

  describe('ensure.sh', () => {
    it('makes what is missing, options as they are', async () => {
      const docker = await program('docker', `case $2 in inspect) exit 1;; esac; for a; do printf '[%s]' "$a"; done`);
      const { stdout, code } = await run(shell, 'ensure.sh', [docker, 'volume', 'app_data', '--opt=o=a b', "--label=it's"]); // prettier-ignore
      expect({ code, out: stdout.toString() }).toEqual({ code: 0, out: "[volume][create][--opt=o=a b][--label=it's][app_data]" }); // prettier-ignore
    });

    it('leaves what is there', async () => {
      const docker = await program('docker', `[ "$*" = "network inspect app_default" ] || exit 9`);
      expect((await run(shell, 'ensure.sh', [docker, 'network', 'app_default', '--internal'])).code).toBe(0);
    });

    it('fails as the engine does', async () => {
      const docker = await program('docker', 'exit 9');
      expect((await run(shell, 'ensure.sh', [docker, 'network', 'app_default'])).code).toBe(9);
    });
  });

  describe('with-devices.sh', () => {
    it('gives the nodes that are there with their groups, arguments as they are, and tells of those that are not', async () => {
      const docker = await program('docker', `for a; do printf '[%s]' "$a"; done`);
      await program('stat', 'case $3 in *tty*) echo 5;; *) echo 0;; esac'); // busybox may take its own: tty is 5 there, too
      const args = ['/dev/nul?', '/dev/tty', '/dev/nothing*', '--', docker, 'run', '--env=A=a  b', '$x', ''];
      const { stdout, stderr, code } = await run(shell, 'with-devices.sh', args);
      const { stdout: group } = await runProgram('stat', ['-c', '%g', '/dev/tty']);
      const gid = name === 'sh' ? '5' : group.toString().trim();
      const groupAdd = gid === '0' ? '' : `[--group-add=${gid}]`;
      expect(code).toBe(0);
      expect(stderr.toString()).toBe('boxship: no device is at /dev/nothing*\n');
      expect(stdout.toString()).toBe(`[run][--device=/dev/null][--device=/dev/tty]${groupAdd}[--env=A=a  b][$x][]`); // prettier-ignore
    });
  });

  describe('host-paths.sh', () => {
    it('makes folders of what is missing, leaves what is there, links to nowhere included, and fails where it cannot', async () => {
      const at = (name: string) => join(folder, name);
      await writeFile(at('file'), 'mine');
      await symlink(at('later'), at('link'));
      const paths = [at('file'), at('link'), at("it's/a b"), at('file/below')];
      const { code } = await run(shell, 'host-paths.sh', paths);
      expect(code).toBe(1); // the last one is below a file
      expect((await stat(at("it's/a b"))).isDirectory()).toBe(true);
      expect(await readFile(at('file'), 'utf8')).toBe('mine');
      expect((await readdir(folder)).sort()).toEqual(['file', "it's", 'link']);
    });
  });

  describe('if-there.sh', () => {
    const remove = async (docker: string) => {
      const { code, stdout, stderr } = await run(shell, 'if-there.sh', [docker, 'app-db-1', 'rm', '--force', '--volumes']); // prettier-ignore
      return { code, out: stdout.toString(), told: stderr.toString() };
    };
    /** A docker that says `complaint` and ends with `code`; what it lists afterwards is `listed`. */
    const stubborn = (complaint: string, code: number, listed: string) =>
      program('docker', `case $* in
        "rm --force --volumes app-db-1") echo app-db-1; [ -z '${complaint}' ] || echo '${complaint}' >&2; exit ${code};;
        'container ls --all --quiet --filter name=^app-db-1$') ${listed};;
        *) exit 2;; esac`); // prettier-ignore
    const MISSING = 'Error: No such container: app-db-1';

    it.each([
      ['does what was asked', '', 0, 'exit 9', { code: 0, told: '' }],
      ['is silent when the container is not there', MISSING, 1, ':', { code: 0, told: '' }],
      ['is silent when the engine complains of that and succeeds', MISSING, 0, ':', { code: 0, told: '' }],
      ['tells what the engine says when the container stays', 'device busy', 1, 'echo 1f2e', { code: 1, told: 'device busy\n' }], // prettier-ignore
      ['tells that the engine does not answer', 'Cannot connect', 1, 'exit 1', { code: 1, told: 'Cannot connect\n' }],
    ])('%s', async (_name, complaint, code, listed, expected) => {
      expect(await remove(await stubborn(complaint, code, listed))).toEqual({ out: '', ...expected });
    });
  });
});
