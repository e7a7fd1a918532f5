import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { checkFilesystem, copyRange, whyNoMount, withMount } from './partition-file.ts';
import { readSampleRelease, type SampleRelease } from './sample-product.ts';

// Promise 1: vendor bytes are kept; every edit of a rootfs is listed.

const SECTOR = 512;
let folder = '';
let base = '';
let made: SampleRelease;
const rootfs = { before: '', after: '' };

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'vendor-'));
  ({ image: base } = await buildBaseImage());
  made = await readSampleRelease(inject('product').folder, 'pro');
  for (const [name, image] of [['before', base], ['after', made.image]] as const) {
    rootfs[name] = join(folder, `${name}.img`);
    await copyRange(image, made.partition('rootfs'), rootfs[name]);
  } // prettier-ignore
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface SfdiskPartition {
  readonly node: string;
  readonly start: number;
  readonly size: number;
}

async function tableOf(image: string) {
  const { stdout } = await runProgram('sfdisk', ['--json', image]);
  const { partitiontable } = JSON.parse(stdout.toString()) as {
    partitiontable: { id: string; firstlba: number; partitions: SfdiskPartition[] };
  };
  const partitions = partitiontable.partitions.map(({ node: _, ...rest }) => rest);
  return { ...partitiontable, partitions };
}

async function differs(start: number, end: number): Promise<boolean> {
  const skip = `${start}:${start}`;
  const { code } = await runProgram('cmp', ['-s', '-i', skip, '-n', String(end - start), base, made.image], {
    accept: [0, 1],
  });
  return code === 1;
}

describe('of the vendor', () => {
  it('every partition is where and what it was (sfdisk, sgdisk)', async () => {
    const [before, after] = [await tableOf(base), await tableOf(made.image)];
    expect(after.partitions.slice(0, before.partitions.length)).toEqual(before.partitions);
    expect(after.partitions).toHaveLength(before.partitions.length + 2);
    expect(after.id).toBe(before.id);
    const { stdout } = await runProgram('sgdisk', ['--verify', made.image]);
    expect(stdout.toString()).toContain('No problems found.');
  });

  it('every byte outside of the partition table and the root filesystem is kept, gaps and boot code included (cmp)', async () => {
    const { partitions, firstlba } = await tableOf(base);
    const { start, size } = made.partition('rootfs');
    const last = partitions.at(-1)!;
    expect(await differs(0, 440)).toBe(false); // boot code of the MBR
    expect(await differs(firstlba * SECTOR, start)).toBe(false);
    expect(await differs(start + size, (last.start + last.size) * SECTOR)).toBe(false);
  });

  it('the root filesystem is sound after its edit (e2fsck)', async () => {
    await checkFilesystem(rootfs.after);
  });

  it.skipIf(whyNoMount())(
    'every file that changed is in the list of the release, and nothing else is (the kernel)',
    async () => {
      const [before, after] = [await listing(rootfs.before), await listing(rootfs.after)];
      const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
        (path) => before.get(path) !== after.get(path),
      );
      expect(changed.sort()).toEqual([...made.release.rootfsChanges].sort());
      // none of it in the vendor's own configuration
      expect(changed.filter((path) => path.startsWith('/etc/'))).toEqual([]);
      // no identity is shipped
      expect(changed.filter((path) => /machine-id|engine-id/.test(path))).toEqual([]);
    },
  );
});

/** Attributes and digest of every path; of folders neither size nor time, which follow from what is in them. */
async function listing(image: string): Promise<Map<string, string>> {
  const mountPoint = join(folder, 'mount');
  return await withMount(image, mountPoint, 'ro,noload', async () => {
    const find = async (...words: string[]) =>
      (await runProgram('find', ['.', ...words], { cwd: mountPoint })).stdout.toString().split('\n').filter(Boolean);
    const found = new Map<string, string>();
    const attributes = '%y|%m|%U|%G|%l';
    for (const line of await find('-type', 'd', '-printf', `%P\t${attributes}\n`)) add(line);
    for (const line of await find('!', '-type', 'd', '-printf', `%P\t${attributes}|%s|%T@\n`)) add(line);
    for (const line of await find('-type', 'f', '-exec', 'sha256sum', '{}', '+')) {
      const path = line.slice(67);
      found.set(path, `${found.get(path)}|${line.slice(0, 64)}`);
    }
    return found;
    function add(line: string) {
      const tab = line.lastIndexOf('\t');
      found.set(`/${line.slice(0, tab)}`, line.slice(tab + 1));
    }
  });
}
