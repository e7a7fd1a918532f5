import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine, type Machine } from '@boxship/boot';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { composeSample, makeSampleProduct, type SampleRelease } from './sample-product.ts';

// A device whose base image has podman 5.4, which makes units of Quadlet files: no network card, no daemon.

let folder = '';
let release: SampleRelease;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'boot-podman-'));
  const { image: base } = await buildBaseImage({ engine: 'podman' });
  const { program, folder: other } = inject('product');
  release = await composeSample(await makeSampleProduct({ program, folder: join(folder, 'product'), base, engine: 'podman', keys: join(other, 'keys') })); // prettier-ignore
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withMachine(work: (machine: Machine) => Promise<void>): Promise<void> {
  const overlay = join(folder, 'disk.qcow2');
  await using machine = await startMachine({ image: release.image, firmware: 'direct', overlay });
  await work(machine);
  console.log(`boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
}

const up = (app: string) => new RegExp(`boxship-demo: ${app} 1\\.0 is up \\(\\d+ checks ok\\)`);
const started = (app: string, times: number) =>
  new RegExp(`boxship-demo: ${app} 1\\.0 has started ${times} times, first as 1\\.0`);

describe('a device with podman', () => {
  it('has its apps at the first power-on, nothing imported', async () => {
    await withMachine(async (machine) => {
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

      // from the start of the first unit of an app to its first line, and what was written to the store until now
      const since = "journalctl -b -o short-monotonic -u boxship-gateway-gateway.service | sed -n 's/^\\[ *\\([0-9.]*\\)\\].*\\(Starting\\|has started\\).*/\\1/p'"; // prettier-ignore
      const [from, to] = (await shell.must(since)).split('\n').map(Number);
      const device = 'basename "$(readlink -f /dev/boxship/store)"';
      const sectors = Number(await shell.must(`awk '{ print $7 }' /sys/class/block/$(${device})/stat`));
      console.log(`podman: ${(to! - from!).toFixed(1)} s from the start of its unit to the app's first line; ${sectors * 512} bytes written to the store partition`); // prettier-ignore
      expect(sectors * 512).toBeLessThan(6 << 20); // the journal, databases; the layers have 14 MiB

      expect(await shell.must('systemctl is-system-running')).toBe('running');
      expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
      await shell.must('sync');
    }); // and the plug is pulled
  });

  it('starts again after a power cut, on the same volumes', async () => {
    await withMachine(async (machine) => {
      await linesOf(machine, started('gateway', 2), up('gateway'), started('hmi', 2), up('hmi'));
      const shell = await shellOn(machine);
      expect(await shell.must('podman ps -q | wc -l')).toBe('2');
    });
  });
});
