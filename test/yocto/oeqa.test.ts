import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { runProgram } from '@boxship/host';
import { META_BOXSHIP, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { makeOeqaRun, runOeqaCases } from './oeqa-runner.ts';
import { proof } from './results.ts';

/** Commands of the target; what they say is decided by the files in /state. */
const SYSTEMCTL = `#!/bin/sh
case "$1" in
is-active) grep -qx "$2" /state/active && echo active || { echo inactive; exit 3; } ;;
start) ;;
show) cat /state/wants ;;
esac
`;
/** In the place of ssh: runs the command in the target's folder. */
const SSH = `#!/bin/sh
for last; do :; done
exec unshare --map-root-user --root="$BOXSHIP_TARGET" /bin/sh -c "$last"
`;

/**
 * The case of meta-boxship in the runner of openembedded-core, on a folder that answers as a device would, in every state that
 * a device can have; oeqa-device.test.ts has a device that boots.
 */
for (const release of releaseNames) {
  describe(`${release}, docker`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker');
    });
    const inputs = () => [META_BOXSHIP, layer.path, import.meta.filename];
    const options = { release, checkouts: ['openembedded-core', 'bitbake'], inputs, obstacle: busyboxObstacle };
    proof(`${release}/docker/oeqa`, options, async () => {
      const scratch = await mkdtemp(join(tmpdir(), 'boxship-oeqa-'));
      try {
        const target = await makeTarget(scratch, layer);
        const run = await makeOeqaRun(scratch, layer, SSH);
        const verdicts = () => runOeqaCases(run, release, { BOXSHIP_TARGET: target.folder });
        const allBut = (rest: object) => ({
          socket: 'PASSED',
          engine: 'PASSED',
          store: 'PASSED',
          apps: 'PASSED',
          ...rest,
        });

        // no store on the disk: the engine runs, there are no apps
        expect(await verdicts()).toEqual(allBut({ store: 'SKIPPED', apps: 'SKIPPED' }));

        await target.giveStore();
        await target.active('boxship-apps.service', 'boxship-app-web.service', 'boxship-app-hmi.service');
        expect(await verdicts()).toEqual(allBut({}));

        await target.active('boxship-apps.service', 'boxship-app-web.service');
        expect(await verdicts()).toEqual(allBut({ apps: 'FAILED' }));

        // what was not verified is not mounted, and the engine stays down
        await rm(join(target.folder, 'run/boxship/verified'));
        expect(await verdicts()).toEqual(allBut({ store: 'FAILED', apps: 'SKIPPED' }));
        await target.write('usr/bin/docker', '#!/bin/sh\nexit 1\n');
        expect(await verdicts()).toEqual(allBut({ engine: 'FAILED', store: 'SKIPPED', apps: 'SKIPPED' }));
        await rm(join(target.folder, 'usr/lib/boxship/store.pem'));
        expect(await verdicts()).toEqual({ socket: 'FAILED', engine: 'SKIPPED', store: 'SKIPPED', apps: 'SKIPPED' });
        return { devices: 6, cases: 4 };
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    });
  });
}

async function busyboxObstacle(): Promise<string | undefined> {
  const { code } = await runProgram('busybox', ['true'], { accept: [0, 1, 127] }).catch(() => ({ code: 127 }));
  return code === 0 ? undefined : 'the stand-in of a target needs busybox: apt-get install busybox-static';
}

interface Target {
  readonly folder: string;
  write(path: string, text: string): Promise<void>;
  /** Units that run beside those of the engine. */
  active(...units: string[]): Promise<void>;
  giveStore(): Promise<void>;
}

async function makeTarget(scratch: string, { plan }: GeneratedLayer): Promise<Target> {
  const folder = join(scratch, 'target');
  for (const name of ['bin', 'usr/bin', 'usr/lib/boxship', 'run/boxship', 'proc', 'dev/boxship', 'state']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  const { stdout } = await runProgram('which', ['busybox']);
  await cp(stdout.toString().trim(), join(folder, 'bin/busybox'));
  for (const name of ['sh', 'test', 'grep', 'cat', 'uname', 'echo'])
    await symlink('busybox', join(folder, 'bin', name));
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o755);
  };
  const active = async (...units: string[]) =>
    await write('state/active', [...plan.needs.units, 'boxship-verify.service', ...units, ''].join('\n'));
  await write('usr/bin/systemctl', SYSTEMCTL);
  await write('usr/bin/docker', '#!/bin/sh\n[ "$*" = info ]\n');
  await write('usr/lib/boxship/verify', '#!/bin/sh\n');
  await write('usr/lib/boxship/store.pem', 'a key\n');
  await write('proc/mounts', '');
  await active();
  return {
    folder,
    write,
    active,
    async giveStore() {
      await write('dev/boxship/store', '');
      await write('run/boxship/verified', '');
      await write('proc/mounts', '/dev/a /run/boxship/store ext4 ro 0 0\n/dev/b /run/boxship/data ext4 rw 0 0\n');
      await write('state/wants', 'boxship-app-web.service boxship-app-hmi.service\n');
    },
  };
}
