import { closeSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composeProduct, openProduct } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { UserError } from '@boxship/model';
import { builtProgram, environmentOf, fearProduct, filesBelow, type FearProduct } from './fear-product.ts';

const CODES = Array.from({ length: 256 }, (_, code) => code);
const isRoot = process.getuid?.() === 0;
if (!isRoot && process.env['CI'] === 'true') throw new Error('mounting small disks needs root');

let program = '';
let expected: Readonly<Record<string, string>> = {};
let product: FearProduct;

beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct();
  await run(['lock']);
  await run(['compose', '--out', product.path('whole')]);
  expected = await filesBelow(product.path('whole'));
  expect(Object.keys(expected)).toHaveLength(8); // image, block map, release.json, two signatures of each but the map
});
afterAll(() => product[Symbol.asyncDispose]());

async function run(args: readonly string[], env: Record<string, string> = {}) {
  const result = await runProgram(process.execPath, [program, '-f', product.file, ...args], {
    env: { ...environmentOf(product), ...env },
    accept: CODES,
  });
  return { code: result.code, stdout: result.stdout.toString(), stderr: result.stderr };
}

/** Runs `work` with a disk of that many KiB at `folder`. */
async function onSmallDisk<T>(folder: string, size: number, work: () => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true });
  await runProgram('mount', ['-t', 'tmpfs', '-o', `size=${size}k`, 'boxship-test', folder]);
  try {
    return await work();
  } finally {
    await runProgram('umount', ['-l', folder]);
  }
}

describe.runIf(isRoot)('a disk that is too small for the artifacts', () => {
  it('is told before a byte is written, with what is needed', async () => {
    await onSmallDisk(product.out, 4096, async () => {
      const { code, stderr } = await run(['compose']);
      expect(stderr).toMatch(/the images need up to \d+\.\d MiB, .*deploy has 4\.0 MiB free/);
      expect(code).toBe(4);
      expect(await readdir(product.out)).toEqual([]);
    });
  });

  it('that allows no file of that size: a clear error, nothing left, and the next run works', async () => {
    await onSmallDisk(product.out, 64 * 1024, async () => {
      const args = ['--fsize=14000000', process.execPath, program, '-f', product.file, 'compose'];
      const result = await runProgram('prlimit', args, { env: environmentOf(product), accept: CODES });
      expect(result.stderr).toMatch(/error: \/.*\.img: the file system allows no file of this size/);
      expect(result.code).toBe(1);
      expect(await filesBelow(product.out)).toEqual({});
      expect((await run(['compose'])).code).toBe(0);
      expect(await product.outputs()).toEqual(expected);
    });
  });
});

/** Writes the file `others` until the disk at `folder` has only `free` bytes left. */
function fillDisk(folder: string, free: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const file = openSync(join(folder, 'others'), 'w');
  writeSync(file, Buffer.alloc(Math.max(0, bavail * bsize - free)));
  closeSync(file);
}

/** What the disk had at the start says nothing of later: others may fill it while we write. */
describe.runIf(isRoot)('a disk that others fill while we write', () => {
  const pages = async (folder: string) => {
    let bytes = 0;
    for (const name of Object.keys(await filesBelow(folder))) bytes += (await stat(join(folder, name))).blocks * 512;
    return bytes;
  };

  it.each([
    ['at once', 0],
    ['in the frame', 0.1],
    ['in the vendor rootfs', 0.3],
    ['in the contents', 0.7],
    ['at the end of the contents', 0.95],
    ['in the block map', -32 * 1024],
    ['in the signatures', -12 * 1024],
  ])('%s: a clear error, nothing left, and the next run works', async (_when, share) => {
    const needed = await pages(product.path('whole'));
    const free = share < 0 ? needed + share : needed * share;
    await onSmallDisk(product.out, 32 * 1024, async () => {
      let filled = false;
      const start = (label: string) => {
        if (label === 'composing') fillDisk(product.out, free);
        filled ||= label === 'composing';
        return silent.start(label);
      };
      const open = await openProduct(product.file, { cache: product.cache, progress: { ...silent, start }, version: '0' });
      const error = await composeProduct(open, {}, { out: product.out }).then(
        () => expect.fail('no error'),
        (thrown: NodeJS.ErrnoException) => thrown,
      );
      expect(filled).toBe(true);
      if (error instanceof UserError) expect(error.message).toMatch(/No space left on device/);
      else expect(error).toMatchObject({ code: 'ENOSPC', path: expect.stringContaining(product.out) as string });
      expect(Object.keys(await product.outputs())).toEqual(['others']);
      unlinkSync(join(product.out, 'others'));
      const again = await run(['compose']);
      expect(again.stderr).not.toMatch(/error/);
      expect(await product.outputs()).toEqual(expected);
    });
  }); // prettier-ignore
});

describe.runIf(isRoot)('a cache on a disk that is too small', () => {
  it.each([4, 256, 1024, 1520])('of %i KiB: lock says so, and works with more', async (size) => {
    const cache = product.path('small-cache');
    await onSmallDisk(cache, size, async () => {
      const { code, stderr } = await run(['lock'], { BOXSHIP_CACHE: cache });
      expect(stderr).toMatch(/the disk is full/);
      expect(stderr).toContain(cache);
      expect(stderr).toMatch(/hint: /);
      expect(code).toBe(1);
      await runProgram('mount', ['-o', 'remount,size=32m', cache]);
      expect((await run(['lock'], { BOXSHIP_CACHE: cache })).code).toBe(0);
      const out = product.path('from-small-cache');
      expect((await run(['compose', '--out', out], { BOXSHIP_CACHE: cache })).code).toBe(0);
      expect(await filesBelow(out)).toEqual(expected);
      await runProgram('rm', ['-r', out]);
    });
  });
});
