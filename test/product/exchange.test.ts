import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { checkFilesystem, copyRange } from './partition-file.ts';
import {
  boxship,
  makeSampleProduct,
  readSampleRelease,
  type SampleProduct,
  type SampleRelease,
} from './sample-product.ts';

// A release of yesterday gets the apps of today, and then the vendor's base of tomorrow; what comes of it is booted.

const product = inject('product');
let folder = '';
let next: SampleProduct;
let old: SampleRelease;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'exchange-'));
  old = await readSampleRelease(product.folder, 'pro');
  const { image: base } = await buildBaseImage();
  next = await makeSampleProduct({
    ...{ program: product.program, folder: join(folder, 'next'), base, version: '2.0' },
    keys: join(product.folder, 'keys'),
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The vendor's image of tomorrow: one more file in its rootfs. */
async function vendorOfTomorrow(): Promise<string> {
  const { image } = await buildBaseImage();
  const tomorrow = join(folder, 'vendor-2.img');
  await runProgram('cp', ['--sparse=always', '--reflink=auto', image, tomorrow]);
  const { start } = old.partition('rootfs');
  const note = join(folder, 'note');
  await runProgram('sh', ['-c', `echo tomorrow > '${note}'`]);
  await runProgram('debugfs', ['-w', '-R', `write ${note} etc/vendor-note`, `${tomorrow}?offset=${start}`]);
  return tomorrow;
}

const same = async (a: string, b: string, from: number, to: number, length: number) =>
  (await runProgram('cmp', ['-s', '-i', `${from}:${to}`, '-n', String(length), a, b], { accept: [0, 1] })).code === 0;

describe('a release', () => {
  it('gets new apps, then a new base; each keeps the other half, and the device runs both', async () => {
    const said = await boxship(next, 'update-apps', old.folder);
    expect(said).toContain('kept byte for byte: partition 1');
    const updated = await readSampleRelease(next.folder, 'pro');
    await boxship(next, 'verify', updated.folder, '--key', product.publicKey);
    const { start, size } = old.partition('store');
    expect(updated.partition('store')).toEqual({ start, size });
    expect(await same(old.image, updated.image, 0, 0, start)).toBe(true);
    const rest = old.release.files.find(({ name }) => old.image.endsWith(name))!.size - start - size;
    expect(await same(old.image, updated.image, start + size, start + size, rest)).toBe(true);
    const store = join(folder, 'store.img');
    await copyRange(updated.image, { start, size }, store);
    await checkFilesystem(store);

    const out = join(folder, 'rebased/deploy');
    await boxship(next, 'rebase', updated.folder, '--base', await vendorOfTomorrow(), '--out', out);
    const rebased = await readSampleRelease(join(folder, 'rebased'), 'pro');
    await boxship(next, 'verify', rebased.folder, '--key', product.publicKey);
    for (const role of ['store', 'data'] as const) {
      const [from, to] = [updated.partition(role), rebased.partition(role)];
      expect(to.size).toBe(from.size);
      expect(await same(updated.image, rebased.image, from.start, to.start, from.size)).toBe(true);
    }
    const { stdout } = await runProgram('sgdisk', ['--verify', rebased.image]);
    expect(stdout.toString()).toContain('No problems found.');

    await using machine = await startMachine({ image: rebased.image, firmware: 'uefi' });
    await linesOf(
      machine,
      /boxship: store verified, \d+ files/,
      /boxship-demo: gateway 2\.0 has started 1 times, first as 2\.0/,
      /boxship-demo: gateway 2\.0 is up \(\d+ checks ok\)/,
      /boxship-demo: hmi 2\.0 is up \(\d+ checks ok\)/,
    );
    const shell = await shellOn(machine);
    expect(await shell.must('cat /etc/vendor-note')).toBe('tomorrow');
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    console.log(
      `an exchanged release, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`,
    );
  });
});
