import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine, type Machine } from '@boxship/boot';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { composeSample, makeSampleProduct } from './sample-product.ts';
import { expectNothingImported } from './start-figures.ts';

// A device with docker 28 on containerd 2.1, without a network card: images in containerd's store, for docker or for containerd alone.

let folder = '';
let base = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'boot-containerd-'));
  ({ image: base } = await buildBaseImage({ engine: 'containerd' }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function composed(name: string, engine: string, hostNetwork = false): Promise<string> {
  const { program, folder: other } = inject('product');
  const product = await makeSampleProduct({ hostNetwork, program, folder: join(folder, name), base, engine, keys: join(other, 'keys') }); // prettier-ignore
  return (await composeSample(product)).image;
}

async function withMachine(image: string, work: (machine: Machine) => Promise<void>): Promise<void> {
  await using machine = await startMachine({ image, firmware: 'direct' });
  await work(machine);
  console.log(`boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
}

const up = (app: string) => new RegExp(`boxship-demo: ${app} 1\\.0 is up \\(\\d+ checks ok\\)`);

describe("a device with docker on containerd's image store", () => {
  it('has its apps at the first power-on, nothing imported', async () => {
    await withMachine(await composed('docker', '{ name: docker, imageStore: containerd }'), async (machine) => {
      await linesOf(machine, up('gateway'), up('hmi'));
      console.log(`apps up after ${machine.seconds().toFixed(0)} s`);
      const shell = await shellOn(machine);
      expect(await shell.must("docker info --format '{{.Driver}} {{json .DriverStatus}}'")).toMatch(/^overlayfs .*io\.containerd\.snapshotter\.v1/); // prettier-ignore
      expect(JSON.parse(await shell.must('cat /etc/docker/daemon.json'))).toEqual({ 'storage-driver': 'overlayfs', features: { 'containerd-snapshotter': true } }); // prettier-ignore
      const images = (await shell.must("docker images --format '{{.Repository}}:{{.Tag}}'")).split('\n').sort();
      expect(images).toEqual(['registry.example.com/acme/gateway:1.0', 'registry.example.com/acme/hmi:1.0']);
      expect(await shell.must("docker image inspect --format '{{.RepoDigests}}' registry.example.com/acme/gateway:1.0")).toMatch(/acme\/gateway@sha256:[0-9a-f]{64}/); // prettier-ignore
      expect(await shell.must('docker exec gateway-gateway-1 cat /opt/app/version')).toBe('1.0');
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/containerd')).toContain('[/containerd]');
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/docker')).toContain('[/docker]');
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/docker/volumes')).toContain('[/volumes]');
      expect((await shell.run('ls -d /var/lib/docker/overlay2')).code).not.toBe(0);

      await expectNothingImported(shell, "docker, containerd's image store", 'docker.service', 'gateway');
    });
  });
});

describe('a device with containerd', () => {
  it('has its apps at the first power-on, nothing imported, on volumes that containerd does not know of', async () => {
    await withMachine(await composed('containerd', 'containerd', true), async (machine) => {
      await linesOf(machine, up('gateway'), up('hmi'));
      console.log(`apps up after ${machine.seconds().toFixed(0)} s`);
      const shell = await shellOn(machine);
      const images = (await shell.must('ctr images ls -q')).split('\n').sort();
      expect(images).toEqual(['registry.example.com/acme/gateway:1.0', 'registry.example.com/acme/hmi:1.0']);
      expect((await shell.must('ctr tasks ls')).match(/RUNNING/g)).toHaveLength(2);
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/containerd')).toContain('[/containerd]');
      expect(await shell.must('findmnt -n -o SOURCE /var/lib/boxship/volumes')).toContain('[/containerd-volumes]');
      expect(await shell.must('cat /var/lib/boxship/volumes/gateway_data/starts')).toBe('1.0');
      // no layer lies there twice: what containerd would unpack is unpacked
      expect((await shell.run('ctr content ls -q | wc -l')).output).toMatch(/^[4-6]$/m);

      await expectNothingImported(shell, 'containerd', 'containerd.service', 'gateway');

      // stopped by the image's own signal, gone afterwards, and there again on the same volume
      await shell.must('systemctl stop boxship-gateway-gateway.service');
      expect(await shell.must('journalctl -b -o cat -t gateway-gateway')).toContain('gateway 1.0 stops');
      expect(await shell.must('ctr containers ls -q')).toBe('hmi-hmi-1');
      await shell.must('systemctl start --no-block boxship-gateway-gateway.service');
      await linesOf(machine, /boxship-demo: gateway 1\.0 has started 2 times, first as 1\.0/, up('gateway'));
      expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    });
  });
});
