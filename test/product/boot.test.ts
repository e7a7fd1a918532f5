import { join } from 'node:path';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { startMachine, type Machine, type Shell } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { copyRange } from './partition-file.ts';
import { composeSample, makeSampleProduct, readSampleRelease, type SampleRelease } from './sample-product.ts';

// One device from its first boot to its first update, each boot going on where the one before was cut off.

const product = inject('product');
let folder = '';
let overlay = '';
let old: SampleRelease;
let young: SampleRelease;
let diskSize = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'boot-'));
  overlay = join(folder, 'disk.qcow2');
  old = await readSampleRelease(product.folder, 'pro');
  const { image: base } = await buildBaseImage();
  const next = { program: product.program, folder: join(folder, 'next'), base, version: '2.0' };
  young = await composeSample(await makeSampleProduct({ ...next, keys: join(product.folder, 'keys') }));
  diskSize = 8 * (await stat(old.image)).size;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withMachine(firmware: 'uefi' | 'direct', work: (machine: Machine) => Promise<void>): Promise<void> {
  await using machine = await startMachine({ image: old.image, firmware, overlay, diskSize });
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

      // from inside a container, and only there
      expect(await shell.must('docker exec $(docker ps -q | head -n 1) cat /opt/app/version')).toBe('1.0');
      expect(await shell.must('systemctl is-system-running')).toBe('running');
      expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
      await shell.must('sync');
    }); // and the plug is pulled
  });

  it('starts again after a power cut: counted, nothing repaired, nothing grown', async () => {
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
    });
  });

  it('runs the new apps on the old volumes when its store partition is replaced', async () => {
    const [from, to] = [young.partition('store'), old.partition('store')];
    expect(from.size).toBe(to.size);
    const store = join(folder, 'store.img');
    await copyRange(young.image, from, store);
    await runProgram('qemu-io', ['-f', 'qcow2', '-c', `write -q -s ${store} ${to.start} ${to.size}`, overlay]);
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
