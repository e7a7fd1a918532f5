import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { buildTeziImage } from '../fixtures/base-image/tezi.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { composeSample, makeSampleProduct, readSampleRelease } from './sample-product.ts';

const product = inject('product');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'bases-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const composeOn = async (base: string, name: string) =>
  await composeSample(await makeSampleProduct({ program: product.program, folder: join(folder, name), base }), 'basic');

const UP = /boxship-demo: gateway 1\.0 is up \(29 checks ok\)/;
const FIRST_START = /boxship-demo: gateway 1\.0 has started 1 times, first as 1\.0/;

describe('a device whose base image', () => {
  it('has a read-only root and an empty machine-id', async () => {
    const { image: base } = await buildBaseImage({ readOnlyRoot: true });
    const { image } = await composeOn(base, 'read-only');
    await using machine = await startMachine({ image, firmware: 'direct', diskSize: 2 * 1024 ** 3 });
    await linesOf(machine, FIRST_START, UP);
    const shell = await shellOn(machine);
    await shell.must('systemctl start boxship-grow.service');
    expect(await shell.must('findmnt -n -o OPTIONS / | cut -d, -f1')).toBe('ro');
    expect(Number(await shell.must('blockdev --getsize64 /dev/boxship/data'))).toBeGreaterThan(1024 ** 3);
    // made at this boot, in memory: none was shipped
    expect(await shell.must('cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}$/);
    expect(await shell.must('findmnt -n -o FSTYPE /etc/machine-id')).toBe('tmpfs');
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    console.log(`read-only root, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
  });

  it('comes for Toradex Easy Installer, and becomes the image of a disk with an MBR', async () => {
    const { image } = await composeOn(await buildTeziImage(), 'mbr');
    await using machine = await startMachine({ image, firmware: 'direct', diskSize: 2 * 1024 ** 3 });
    await linesOf(machine, FIRST_START, UP);
    const shell = await shellOn(machine);
    await shell.must('systemctl start boxship-grow.service');
    expect(await shell.must('readlink /dev/boxship/store /dev/boxship/data')).toBe('../vda3\n../vda4');
    expect(Number(await shell.must('blockdev --getsize64 /dev/boxship/data'))).toBeGreaterThan(1024 ** 3);
    expect(await shell.must('sfdisk --verify /dev/vda 2>&1')).toContain('No errors detected.');
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    console.log(`MBR, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
  });

  it('has a socket, on a disk without a store: the engine starts as the vendor meant', async () => {
    const made = await readSampleRelease(product.folder, 'pro');
    const image = join(folder, 'no-store.img');
    await runProgram('cp', ['--sparse=always', '--reflink=auto', made.image, image]);
    await runProgram('sfdisk', ['--quiet', '--no-tell-kernel', '--delete', image, '3', '4']);
    await using machine = await startMachine({ image, firmware: 'direct' });
    await linesOf(machine, /boxship: no store partition on the root disk, the engine starts without it/);
    const shell = await shellOn(machine);
    await shell.must('systemctl start docker.service', 300_000);
    expect(await shell.must('docker images -q && docker ps -q')).toBe('');
    expect(await shell.must('findmnt -n -o SOURCE --target /var/lib/docker')).toBe('/dev/vda2');
    expect(await shell.must('ls /dev/boxship 2>&1 | wc -l')).toBe('1'); // "No such file"
    // once the boot has settled
    await shell.run('systemctl is-system-running --wait', 300_000);
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    console.log(`without a store, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
  });
});
