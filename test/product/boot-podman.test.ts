import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { startMachine, type Machine, type Shell } from '@boxship/boot';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { composeSample, makeSampleProduct, type SampleRelease } from './sample-product.ts';

// A device whose base image has podman 5.4, which makes units of Quadlet files: no network card, no daemon.

let folder = '';
let base = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'boot-podman-'));
  ({ image: base } = await buildBaseImage({ engine: 'podman' }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function composed(name: string, engine: string): Promise<SampleRelease> {
  const { program, folder: other } = inject('product');
  return await composeSample(await makeSampleProduct({ program, folder: join(folder, name), base, engine, keys: join(other, 'keys') })); // prettier-ignore
}

async function withMachine(release: SampleRelease, work: (machine: Machine) => Promise<void>): Promise<void> {
  const overlay = `${release.image}.qcow2`;
  await using machine = await startMachine({ image: release.image, firmware: 'direct', overlay });
  await work(machine);
  console.log(`boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
}

const up = (app: string) => new RegExp(`boxship-demo: ${app} 1\\.0 is up \\(\\d+ checks ok\\)`);
const started = (app: string, times: number) =>
  new RegExp(`boxship-demo: ${app} 1\\.0 has started ${times} times, first as 1\\.0`);

/** From the start of the first unit of an app to its first line, and what was written to the store until now. */
async function figures(shell: Shell): Promise<{ readonly text: string; readonly written: number }> {
  const since = "journalctl -b -o short-monotonic -u boxship-gateway-gateway.service | sed -n 's/^\\[ *\\([0-9.]*\\)\\].*\\(Starting\\|has started\\).*/\\1/p'"; // prettier-ignore
  const [from, to] = (await shell.must(since)).split('\n').map(Number);
  const device = 'basename "$(readlink -f /dev/boxship/store)"';
  const written = 512 * Number(await shell.must(`awk '{ print $7 }' /sys/class/block/$(${device})/stat`));
  const text = `${(to! - from!).toFixed(1)} s from the start of its unit to the app's first line; ${written} bytes written to the store partition`;
  return { text, written };
}

describe('a device with podman', () => {
  it('has its apps at the first power-on, nothing imported', async () => {
    await withMachine(await composed('graphroot', 'podman'), async (machine) => {
      await linesOf(machine, up('gateway'), started('gateway', 1), up('hmi'), started('hmi', 1));
      console.log(`apps up after ${machine.seconds().toFixed(0)} s`);
      const shell = await shellOn(machine);
      const images = (await shell.must("podman images --format '{{.Repository}}:{{.Tag}}'")).split('\n').sort();
      expect(images).toEqual(['registry.example.com/acme/gateway:1.0', 'registry.example.com/acme/hmi:1.0']);
      expect(await shell.must("podman image inspect --format '{{.RepoDigests}}' registry.example.com/acme/gateway:1.0")).toMatch(/acme\/gateway@sha256:[0-9a-f]{64}/); // prettier-ignore
      expect(await shell.must('podman exec gateway-gateway-1 cat /opt/app/version')).toBe('1.0');
      expect(await shell.must('podman logs gateway-gateway-1')).toMatch(up('gateway'));
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/containers/storage')).toContain('[/podman]');
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/containers/storage/volumes')).toContain(
        '[/podman-volumes]',
      );

      // podman's generator has made the units, and of the networks and volumes too
      const source = await shell.must('systemctl show -p FragmentPath -p SourcePath --value boxship-gateway-gateway.service'); // prettier-ignore
      expect(source.split('\n').sort()).toEqual(['/run/containers/systemd/boxship-gateway-gateway.container', '/run/systemd/generator/boxship-gateway-gateway.service']); // prettier-ignore
      expect(await shell.must("systemctl list-units --no-legend --plain 'boxship-*_*' | awk '{ print $1, $3 }' | sort")).toBe(
        ['boxship-gateway_console.service active', 'boxship-gateway_data-volume.service active', 'boxship-gateway_default-network.service active', 'boxship-hmi_console.service active', 'boxship-hmi_data-volume.service active', 'boxship-hmi_default-network.service active'].join('\n'),
      ); // prettier-ignore
      expect(await shell.must("podman volume ls --format '{{.Name}}' | sort | tr '\\n' ' '")).toBe(
        'gateway_data hmi_data ',
      );
      expect(await shell.must('journalctl -b -o cat -t gateway-gateway')).toMatch(up('gateway'));

      const { text, written } = await figures(shell);
      console.log(`podman: ${text}`);
      expect(written).toBeLessThan(6 << 20); // the journal, databases; the layers have 14 MiB

      expect(await shell.must('systemctl is-system-running')).toBe('running');
      expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    });
  });
});

describe('a device with podman and an additional image store', () => {
  let release: SampleRelease;
  /** Of the store partition, as it was shipped. */
  const storeDigest = async () => {
    const { start, size } = release.partition('store');
    const script = 'dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none | sha256sum';
    const { stdout } = await runProgram('sh', ['-c', script, 'sh', release.image, String(start), String(size)]);
    return stdout.toString().slice(0, 64);
  };

  it('reads its images where nothing can be written, at the first power-on', async () => {
    release = await composed('additional', '{ name: podman, imageStore: additional }');
    await withMachine(release, async (machine) => {
      await linesOf(machine, up('gateway'), started('gateway', 1), up('hmi'), started('hmi', 1));
      console.log(`apps up after ${machine.seconds().toFixed(0)} s`);
      const shell = await shellOn(machine);
      const list = "podman images --format '{{.Repository}}:{{.Tag}} {{.ReadOnly}}' | sort";
      const images = 'registry.example.com/acme/gateway:1.0 true\nregistry.example.com/acme/hmi:1.0 true';
      expect(await shell.must(list)).toBe(images);
      expect(await shell.must('findmnt -n -o OPTIONS /run/boxship/store')).toMatch(/^ro,/);
      const mounts = ['/var/lib/boxship/images', '/var/lib/containers/storage', '/var/lib/containers/storage/volumes'];
      const sources: string[] = [];
      for (const at of mounts) sources.push(await shell.must(`findmnt -n -o SOURCE ${at}`));
      expect(sources.map((source) => /\[(.*)\]/.exec(source)?.[1])).toEqual(['/podman', '/podman', '/podman-volumes']);
      expect(new Set(sources.slice(1).map((source) => source.split('[')[0])).size).toBe(1);
      expect(sources[0]!.split('[')[0]).not.toBe(sources[1]!.split('[')[0]);
      expect(await shell.must('podman exec gateway-gateway-1 cat /opt/app/version')).toBe('1.0');

      expect((await shell.run('podman rmi -f registry.example.com/acme/gateway:1.0')).output).toMatch(
        /read-only image/,
      );
      await shell.must('podman system prune -a -f');
      expect(await shell.must(list)).toBe(images);
      const { text, written } = await figures(shell);
      console.log(`podman, additional image store: ${text}`);
      expect(written).toBeLessThanOrEqual(4096); // fsck writes the journal's superblock again, as it was
      // past the cache, in which the kernel marks the journal of a file system that it reads
      expect(await shell.must('dd if=/dev/boxship/store iflag=direct bs=1M status=none | sha256sum')).toContain(
        await storeDigest(),
      );
      expect(await shell.must('systemctl is-system-running')).toBe('running');
      await shell.must('sync');
    }); // and the plug is pulled
  });

  it('starts again after a power cut, on the same volumes, over the containers that were left', async () => {
    await withMachine(release, async (machine) => {
      await linesOf(machine, started('gateway', 2), up('gateway'), started('hmi', 2), up('hmi'));
      const shell = await shellOn(machine);
      expect(await shell.must('podman ps -a -q | wc -l')).toBe('2');
      expect((await figures(shell)).written).toBeLessThanOrEqual(4096);
      expect(await shell.must('dd if=/dev/boxship/store iflag=direct bs=1M status=none | sha256sum')).toContain(
        await storeDigest(),
      );
    });
  });
});
