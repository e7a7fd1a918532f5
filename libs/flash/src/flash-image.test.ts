import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram, silent, type Progress } from '@boxship/host';
import { GiB, MiB, type UserError } from '@boxship/model';
import type { RangeDigest } from '@boxship/disk';
import { flashImage, type FlashImage } from './flash-image.ts';
import { describeTarget, type FlashTarget } from './flash-target.ts';
import { refuseTarget } from './refuse-target.ts';

let folder = '';
let image: FlashImage;
let plain: Buffer;
const SIZE = 24 * MiB;
/** Ends and starts that are no multiples of anything but blocks; a gap in the head; one to the end. */
const RANGES = [
  [0, 20480],
  [40960, 7 * MiB + 4096],
  [9 * MiB, 17 * MiB],
  [SIZE - 8192, SIZE],
] as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-flash-'));
  plain = Buffer.alloc(SIZE);
  for (const [start, end] of RANGES) randomBytes(end - start).copy(plain, start);
  plain.fill(0, 10 * MiB, 12 * MiB); // zeros that matter
  const path = join(folder, 'image.img');
  await writeFile(path, plain);
  const ranges = RANGES.map(([start, end]): RangeDigest => {
    return { start, end, sha256: createHash('sha256').update(plain.subarray(start, end)).digest('hex') };
  });
  image = { path, size: SIZE, ranges };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const fileTarget = async (name: string): Promise<FlashTarget> => {
  await writeFile(join(folder, name), 'remains of something else');
  return await describeTarget(join(folder, name));
};
const fault = async (work: Promise<unknown>): Promise<UserError> =>
  await work.then(
    () => expect.fail('no error'),
    (error: unknown) => error as UserError,
  );
/** Calls `act` when the step begins. */
const atStep = (label: RegExp, act: () => void): Progress => ({
  ...silent,
  start(name, total) {
    if (label.test(name)) act();
    return silent.start(name, total);
  },
});
async function headOf(path: string): Promise<Buffer> {
  return (await readFile(path)).subarray(0, MiB);
}

describe('writing', () => {
  it.each([
    ['plain', undefined],
    ['gz', ['gzip', '-c', '-1']],
    ['xz', ['xz', '-c', '-0']],
    ['zst', ['zstd', '-c', '-q', '-1']],
    ['simg', undefined],
  ] as const)('puts the same bytes there, of a %s image', async (kind, packer) => {
    const path = kind === 'plain' ? image.path : join(folder, `image.${kind}`);
    if (kind === 'simg') await runProgram('img2simg', [image.path, path]);
    if (packer) await writeFile(path, (await runProgram(packer[0], [...packer.slice(1), image.path])).stdout);
    const target = await fileTarget(`to-${kind}`);
    const done = { writing: 0, 'reading back': 0 };
    const progress: Progress = {
      ...silent,
      start: (label) => ({
        advance: (bytes) => (done[label.startsWith('writing') ? 'writing' : 'reading back'] += bytes),
        end() {},
      }),
    };
    await flashImage(target, { ...image, path }, { progress });
    expect((await readFile(target.path)).equals(plain)).toBe(true);
    const mapped = RANGES.reduce((sum, [start, end]) => sum + end - start, 0);
    expect(done).toEqual({ writing: mapped, 'reading back': mapped });
  });

  it('that is stopped leaves no partition table', async () => {
    const target = await fileTarget('stopped');
    const stop = new AbortController();
    let steps = 0;
    const progress: Progress = {
      ...silent,
      start: () => ({ advance: () => (++steps === 3 ? stop.abort(new Error('Ctrl-C')) : undefined), end() {} }),
    };
    await expect(flashImage(target, image, { progress, signal: stop.signal })).rejects.toThrow('Ctrl-C');
    expect((await headOf(target.path)).equals(Buffer.alloc(MiB))).toBe(true);
  });

  it('refuses an image that is not the one that was signed, or that is cut, and leaves no partition table', async () => {
    const other = join(folder, 'other.img');
    await writeFile(other, plain);
    const handle = await open(other, 'r+');
    await handle.write(Buffer.from([plain[16 * MiB]! ^ 1]), 0, 1, 16 * MiB);
    await handle.close();
    for (const cut of [false, true]) {
      if (cut) await truncate(other, 15 * MiB);
      const target = await fileTarget(`changed-${cut}`);
      const error = await fault(flashImage(target, { ...image, path: other }, { progress: silent }));
      expect(error).toMatchObject({ code: 'IMAGE_CHANGED' });
      expect(error.message).toContain(`bytes ${9 * MiB}..${17 * MiB - 1} of`);
      expect((await headOf(target.path)).equals(Buffer.alloc(MiB))).toBe(true);
    }
  });

  it('reads back: a device that lies is found out', async () => {
    const target = await fileTarget('liar');
    let corrupted: Promise<void> | undefined;
    const progress = atStep(/^reading back/, () => {
      corrupted = (async () => {
        const handle = await open(target.path, 'r+');
        await handle.write(Buffer.from([plain[SIZE - 10]! ^ 1]), 0, 1, SIZE - 10);
        await handle.close();
      })();
    });
    const error = await fault(flashImage(target, image, { progress }));
    await corrupted;
    expect(error.code).toBe('FLASH_VERIFY_FAILED');
    expect(error.message).toContain(`in ${SIZE - 8192}..${SIZE - 1} (8.0 KiB)`);
  });
});

/** A block device over a file, where this system gives one. */
async function loopDevice(file: string): Promise<string | undefined> {
  return await runProgram('losetup', ['--find', '--show', file]).then(
    ({ stdout }) => stdout.toString().trim(),
    () => undefined,
  );
}
const probeFile = join(await mkdtemp(join(tmpdir(), 'boxship-loop-')), 'probe');
await writeFile(probeFile, Buffer.alloc(MiB));
const probe = await loopDevice(probeFile);
if (probe) await runProgram('losetup', ['--detach', probe]);
await rm(join(probeFile, '..'), { recursive: true });

describe.skipIf(!probe)(`a block device${probe ? '' : ' (this system has no loop devices)'}`, () => {
  it('is written and read back; an old GPT at its end is gone', async () => {
    const disk = join(folder, 'disk');
    await writeFile(disk, '');
    await truncate(disk, 32 * MiB);
    await runProgram('sfdisk', ['-q', disk], { input: 'label: gpt\nsize=1M\n' });
    const device = (await loopDevice(disk))!;
    try {
      const target = await describeTarget(device);
      expect(target).toMatchObject({ kind: 'disk', size: 32 * MiB, uses: [], readOnly: false });
      refuseTarget(target, { imageSize: SIZE, largest: GiB, largestFrom: '', allowFile: false });
      await flashImage(target, image, { progress: silent });
    } finally {
      await runProgram('losetup', ['--detach', device]);
    }
    const bytes = await readFile(disk);
    for (const [start, end] of RANGES) expect(bytes.subarray(start, end).equals(plain.subarray(start, end))).toBe(true);
    expect(bytes.subarray(-5 * 4096).equals(Buffer.alloc(5 * 4096))).toBe(true);
  });

  it('that is mounted is refused, by what the kernel says and by the kernel itself', async () => {
    const disk = join(folder, 'mounted');
    await writeFile(disk, '');
    await truncate(disk, 32 * MiB);
    await runProgram('mke2fs', ['-q', '-t', 'ext4', disk]);
    const device = (await loopDevice(disk))!;
    const place = join(folder, 'a place');
    await runProgram('mkdir', [place]);
    const mounted = await runProgram('mount', [device, place]).then(
      () => true,
      () => false,
    );
    try {
      expect(mounted, 'mount').toBe(true);
      const target = await describeTarget(device);
      expect(target.uses).toEqual([`${target.name} is mounted at ${place}`]);
      const error = await fault(flashImage({ ...target, uses: [] }, image, { progress: silent }));
      expect(error.code).toBe('DEVICE_IN_USE');
    } finally {
      if (mounted) await runProgram('umount', [place]);
      await runProgram('losetup', ['--detach', device]);
    }
    await runProgram('e2fsck', ['-fn', disk]); // not a byte was written
  });
});
