import { appendFile, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine } from '@boxship/boot';
import type { Release } from '@boxship/compose';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildTeziImage } from '../fixtures/base-image/tezi.mjs';
import { installTezi } from '../lab/tezi-installer.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { copyRange } from './partition-file.ts';
import { boxship, makeSampleProduct, type SampleProduct } from './sample-product.ts';

const MIB = 1 << 20;
let folder = '';
let vendor = '';
let product: SampleProduct;
let release: Release;
/** What a person unpacks from the artifact. */
let image = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'tezi-'));
  vendor = await buildTeziImage();
  product = await makeSampleProduct({ program: inject('product').program, folder: join(folder, 'product'), base: vendor, machine: 'tezi-x86-64' });
  await appendFile(join(product.folder, 'boxship.yaml'), 'artifacts: [tezi: { name: Acme Gateway, autoinstall: true }]\n');
  await boxship(product, 'compose', '--variant', 'pro');
  const deploy = (await runProgram('find', [join(product.folder, 'deploy'), '-name', '*-docker-pro'])).stdout.toString().trim();
  release = JSON.parse(await readFile(join(deploy, 'release.json'), 'utf8')) as Release;
  expect(release.files.map(({ name }) => name)).toEqual(['acme-gateway-1.0.0-tezi-x86-64-pro.tezi.tar']);
  await boxship(product, 'verify', deploy, '--key', product.publicKey);
  image = join(folder, 'image');
  await mkdir(image);
  await runProgram('tar', ['-C', image, '--strip-components=1', '-xf', join(deploy, release.files[0]!.name)]);
}); // prettier-ignore
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('an artifact for Toradex Easy Installer', () => {
  it("has the vendor's files as they were, and ours beside them", async () => {
    const names = await readdir(vendor);
    for (const name of names.filter((one) => one !== 'image.json')) {
      await runProgram('cmp', [join(vendor, name), join(image, name)]);
    }
    const added = (await readdir(image)).filter((name) => !names.includes(name));
    expect(added.sort()).toEqual(['boxship-data.tar', 'boxship-socket.tar', 'boxship-store.img']);
  });

  it("has the vendor's image.json with our partitions, and nothing else changed", async () => {
    const was = JSON.parse(await readFile(join(vendor, 'image.json'), 'utf8'));
    const is = JSON.parse(await readFile(join(image, 'image.json'), 'utf8'));
    const [boot, rootfs, store, data] = is.blockdevs[0].partitions;
    const added = rootfs.content.uncompressed_size - was.blockdevs[0].partitions[1].content.uncompressed_size;
    expect(added).toBeGreaterThan(0.1);
    expect(added).toBeLessThan(1);
    const [wasBoot, wasRootfs] = was.blockdevs[0].partitions;
    expect(is).toEqual({
      ...was,
      config_format: 3,
      autoinstall: true,
      name: 'Acme Gateway',
      version: '1.0.0',
      release_date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      blockdevs: [{ ...was.blockdevs[0], partitions: [boot, rootfs, store, data] }],
    });
    expect(boot).toEqual(wasBoot);
    expect(rootfs).toEqual({
      ...wasRootfs,
      content: {
        ...wasRootfs.content,
        uncompressed_size: rootfs.content.uncompressed_size,
        filelist: ['boxship-socket.tar:/:true'],
      },
    });
    expect(store).toEqual({
      partition_size_nominal: 64,
      want_maximised: false,
      partition_type: '83',
      content: { filesystem_type: 'raw', uncompressed_size: 64, rawfiles: [{ filename: 'boxship-store.img' }] },
    });
    await runProgram('e2fsck', ['-fn', join(image, 'boxship-store.img')]);
  });

  it('is installed on a disk, and the apps run at its first power-on', async () => {
    const disk = join(folder, 'disk.img');
    const partitions = await installTezi({ folder: image, disk, size: 4096 * MIB, scratch: join(folder, 'work') });
    expect(partitions).toHaveLength(4);
    for (const { number, ...range } of partitions.slice(1)) {
      const file = join(folder, `partition-${number}.img`);
      await copyRange(disk, range, file);
      await runProgram('e2fsck', ['-fn', file]);
      await rm(file);
    }
    await using machine = await startMachine({ image: disk, firmware: 'direct' });
    await linesOf(
      machine,
      /boxship: store verified, \d+ files/,
      /boxship-demo: gateway 1\.0 has started 1 times, first as 1\.0/,
      /boxship-demo: gateway 1\.0 is up \(29 checks ok\)/,
      /boxship-demo: hmi 1\.0 is up \(\d+ checks ok\)/,
    );
    console.log(`apps up after ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
    const shell = await shellOn(machine);
    await shell.must('systemctl start boxship-grow.service');
    expect(await shell.must('readlink /dev/boxship/store /dev/boxship/data')).toBe('../vda3\n../vda4');
    // the installer made it as large as it could, and what is on the device leaves it so
    expect(Number(await shell.must('blockdev --getsize64 /dev/boxship/data'))).toBe(partitions[3]!.size);
    const kibibytes = Number(await shell.must('df --output=size /run/boxship/data | tail -n 1'));
    expect(kibibytes * 1024).toBeGreaterThan(partitions[3]!.size * 0.9);
    expect(await shell.must('stat -c %a:%u:%g /run/boxship/data/volumes')).toBe('701:0:0');
    expect(await shell.must('sfdisk --verify /dev/vda 2>&1')).toContain('No errors detected.');
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
  });

  it('is the same bytes when it is made again', async () => {
    const other = join(folder, 'again');
    await boxship(product, 'compose', '--variant', 'pro', '--out', other);
    const again = (await runProgram('find', [other, '-name', 'release.json'])).stdout.toString().trim();
    const { files } = JSON.parse(await readFile(again, 'utf8')) as Release;
    expect(files).toEqual(release.files);
  });
});
