import { join } from 'node:path';
import { appendFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { startMachine, type Machine, type Shell } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { copyRange } from './partition-file.ts';
import { boxship, composeSample, makeSampleProduct, readSampleRelease, type SampleRelease } from './sample-product.ts';
import { expectNothingImported } from './start-figures.ts';
import { buildUpdaterDisk, documentedCommands, onDevice, UPDATER_DISK } from './updater-disk.ts';

// One device from its first boot to its first update, each boot going on where the one before was cut off.

const product = inject('product');
let folder = '';
let overlay = '';
let old: SampleRelease;
let young: SampleRelease;
let diskSize = 0;
let updaters = '';
/** SHA-256 of the store partition of the young release, hex. */
let youngStore = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'boot-'));
  overlay = join(folder, 'disk.qcow2');
  old = await readSampleRelease(product.folder, 'pro');
  const { image: base } = await buildBaseImage();
  const next = { program: product.program, folder: join(folder, 'next'), base, version: '2.0' };
  const youngProduct = await makeSampleProduct({ ...next, keys: join(product.folder, 'keys') });
  await appendFile(join(youngProduct.folder, 'boxship.yaml'), 'artifacts: [raw, rauc, swupdate, mender]\n');
  await boxship(youngProduct, 'lock'); // of the programs that these formats take
  young = await composeSample(youngProduct);
  const store = join(folder, 'store.img');
  await copyRange(young.image, young.partition('store'), store);
  youngStore = (await runProgram('sha256sum', [store])).stdout.toString().slice(0, 64);
  const updates = ['apps.raucb', 'apps.swu', 'apps.mender', 'updates.pem'];
  updaters = join(folder, 'updaters.img');
  await buildUpdaterDisk({
    ...{ scratch: folder, image: updaters, compatible: 'acme-gateway-qemux86-64', deviceType: 'qemux86-64' },
    files: {
      ...Object.fromEntries(updates.map((name) => [name, young.image.replace(/img$/, name)])),
      'release.pub': product.publicKey,
    },
  });
  diskSize = 8 * (await stat(old.image)).size;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withMachine(firmware: 'uefi' | 'direct', work: (machine: Machine) => Promise<void>): Promise<void> {
  const furtherDisks = [updaters];
  await using machine = await startMachine({ image: old.image, firmware, overlay, diskSize, furtherDisks });
  await work(machine);
  console.log(`${firmware} boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
}

const up = (app: string, version: string) => new RegExp(`boxship-demo: ${app} ${version} is up \\(\\d+ checks ok\\)`);
const started = (app: string, version: string, times: number) =>
  new RegExp(`boxship-demo: ${app} ${version} has started ${times} times, first as 1\\.0`);

/** What a file system check said at this boot; a repair would be the end of "power cut safe". */
const repairs = async (shell: Shell) =>
  (await shell.run("journalctl -b -o cat -u 'systemd-fsck@*' | grep -i -E 'fixed|unexpected|repair|inconsisten'"))
    .output;

const sizeOf = async (shell: Shell, role: string) =>
  Number(await shell.must(`blockdev --getsize64 /dev/boxship/${role}`));

describe('a device', () => {
  it('has its apps at the first power-on of a disk 8 times larger, nothing imported', async () => {
    await withMachine('uefi', async (machine) => {
      await linesOf(
        machine,
        up('gateway', '1.0'),
        started('gateway', '1.0', 1),
        up('hmi', '1.0'),
        started('hmi', '1.0', 1),
      );
      console.log(`apps up after ${machine.seconds().toFixed(0)} s`);
      const shell = await shellOn(machine);
      // the apps may be quicker than growing
      await shell.must('systemctl start boxship-grow.service');

      const { start } = old.partition('data');
      expect(await sizeOf(shell, 'data')).toBeGreaterThan(diskSize - start - (3 << 20));
      const kibibytes = Number(await shell.must('df --output=size /run/boxship/data | tail -n 1'));
      expect(kibibytes * 1024).toBeGreaterThan((diskSize - start) * 0.9);
      expect(await sizeOf(shell, 'store')).toBe(old.partition('store').size);
      expect(await shell.must('sfdisk --verify /dev/vda 2>&1')).toContain('No errors detected.');

      // promise 3: the daemon has listed, not loaded
      const images = (await shell.must("docker images --format '{{.Repository}}:{{.Tag}}'")).split('\n').sort();
      expect(images).toEqual(['registry.example.com/acme/gateway:1.0', 'registry.example.com/acme/hmi:1.0']);
      expect((await shell.run("journalctl -b -o cat -u docker | grep -i -E 'import|loading image|pull'")).output).toBe(
        '',
      );
      const since = "docker system events --since 0 --until 1s --filter type=image --format '{{.Action}}'";
      expect(await shell.must(since)).toBe('');
      const digests = await shell.must(
        "docker image inspect --format '{{.RepoDigests}}' registry.example.com/acme/gateway:1.0",
      );
      expect(digests).toMatch(/acme\/gateway@sha256:[0-9a-f]{64}/);

      await expectNothingImported(shell, 'docker, overlay2', 'docker.service', 'gateway');

      // from inside a container, and only there
      expect(await shell.must('docker exec $(docker ps -q | head -n 1) cat /opt/app/version')).toBe('1.0');
      expect(await shell.must('systemctl is-system-running')).toBe('running');
      expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
      await shell.must('sync');
    }); // and the plug is pulled
  });

  it('starts again after a power cut: counted, nothing repaired, nothing grown; updaters install a store', async () => {
    await withMachine('direct', async (machine) => {
      await linesOf(
        machine,
        started('gateway', '1.0', 2),
        up('gateway', '1.0'),
        started('hmi', '1.0', 2),
        up('hmi', '1.0'),
      );
      const shell = await shellOn(machine);
      expect(await repairs(shell)).toBe('');
      expect(await sizeOf(shell, 'data')).toBeGreaterThan(diskSize - old.partition('data').start - (3 << 20));
      expect(await shell.must('docker ps -q | wc -l')).toBe('2');

      expect(old.partition('store').size).toBe(young.partition('store').size);
      const [, after] = await documentedCommands();
      await shell.must(`mkdir ${UPDATER_DISK} && mount -r /dev/vdb ${UPDATER_DISK}`);
      for (const [updater, install] of Object.entries(INSTALL)) {
        const began = machine.seconds();
        const { output, code } = await shell.run(install, 300_000);
        expect(code, `${updater}: ${output}`).toBe(0);
        const stored = await shell.must('sha256sum </dev/boxship/store', 300_000);
        expect(stored.slice(0, 64), `${updater}: ${output}`).toBe(youngStore);
        console.log(`${updater} installed the store in ${(machine.seconds() - began).toFixed(0)} s`);
        // the next one has all to do again; the last one's store stays
        if (updater !== 'RAUC') await shell.must('dd if=/dev/zero of=/dev/boxship/store bs=1M count=64 conv=fsync');
      }
      await shell.run(after).catch(() => {}); // it reboots: nothing is said any more
      await machine.ended(300_000);
    });
  });

  it('runs the new apps on the old volumes when its store was replaced by an updater', async () => {
    await withMachine('direct', async (machine) => {
      await linesOf(
        machine,
        started('gateway', '2.0', 3),
        up('gateway', '2.0'),
        started('hmi', '2.0', 3),
        up('hmi', '2.0'),
      );
      const shell = await shellOn(machine);
      expect(await repairs(shell)).toBe('');
      const images = (await shell.must("docker images --format '{{.Repository}}:{{.Tag}}'")).split('\n').sort();
      expect(images).toEqual(['registry.example.com/acme/gateway:2.0', 'registry.example.com/acme/hmi:2.0']);
      expect(await shell.must("cat /var/lib/docker/volumes/*gateway*/_data/starts | tr '\\n' ' '")).toBe(
        '1.0 1.0 2.0 ',
      );
    });
  });
});

/** What a person or a service of the device types; the last one's store is booted. */
const INSTALL = {
  SWUpdate: [
    `${UPDATER_DISK}/store-release`,
    `${onDevice('swupdate')} -i ${UPDATER_DISK}/apps.swu -k ${UPDATER_DISK}/updates.pem -H board:1.0`,
  ].join(' && '),
  Mender: [
    'mkdir -p /usr/share/mender/modules/v3 /var/lib/mender /etc/mender',
    `cp ${UPDATER_DISK}/boxship-store /usr/share/mender/modules/v3/`,
    `cp ${UPDATER_DISK}/device_type /var/lib/mender/ && cp ${UPDATER_DISK}/artifact_info /etc/mender/`,
    `${onDevice('mender')} -config ${UPDATER_DISK}/mender.conf install ${UPDATER_DISK}/apps.mender`,
  ].join(' && '),
  RAUC: [
    `cp ${UPDATER_DISK}/rauc-policy.conf /etc/dbus-1/system.d/`,
    'systemctl reload dbus',
    `${onDevice('rauc')} --conf=${UPDATER_DISK}/system.conf --override-boot-slot=system service >/run/rauc.log 2>&1 &
      sleep 3; ${onDevice('rauc')} install ${UPDATER_DISK}/apps.raucb || { cat /run/rauc.log; false; }`,
  ].join(' && '),
};
