import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { builtProgram, environmentOf, exists, fearProduct, type FearProduct } from './fear-product.ts';

// `boxship flash` as a shell sees it. What may be overwritten, and the writing itself: libs/flash.

const CODES = Array.from({ length: 256 }, (_, code) => code);
const NAME = 'acme-1.0.0-tiny-basic.img';
let program = '';
let product: FearProduct;
let release = '';

beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct({ yaml: (text) => `${text}artifacts: [raw, raw: { compression: gz }]\n` });
  await product.lock();
  [{ folder: release }] = (await product.compose()) as unknown as readonly [{ folder: string }];
});
afterAll(() => product[Symbol.asyncDispose]());

async function flash(...args: string[]) {
  const command = [program, 'flash', ...args, '--key', product.path('release.pub')];
  const { code, stdout, stderr } = await runProgram(process.execPath, command, {
    env: environmentOf(product),
    accept: CODES,
  });
  return { code, stdout: stdout.toString(), stderr };
}

describe('boxship flash', () => {
  it('writes the image of a release into a file, plain or unpacked on the way', async () => {
    const plain = await readFile(join(release, NAME));
    for (const [given, file] of [[release, 'whole.raw'], [join(release, `${NAME}.gz`), 'packed.raw']] as const) {
      const { code, stdout, stderr } = await flash('--to-file', product.path(file), given, '--json');
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ flashed: true, imageSize: plain.length });
      expect((await readFile(product.path(file))).equals(plain)).toBe(true);
    }
  }); // prettier-ignore

  it('writes nothing when the release is not what the key signed', async () => {
    const bytes = await readFile(join(release, NAME));
    const damaged = Buffer.from(bytes);
    damaged[5_000_000]! ^= 1;
    await writeFile(join(release, NAME), damaged);
    try {
      const { code, stderr } = await flash('--to-file', product.path('never.raw'), release);
      expect(code, stderr).toBe(3);
      expect(await exists(product.path('never.raw'))).toBe(false);
    } finally {
      await writeFile(join(release, NAME), bytes);
    }
  });

  it('refuses a file that nobody called one, what is no device, and an image that the release does not have', async () => {
    await writeFile(product.path('mine.txt'), 'mine');
    const file = await flash(product.path('mine.txt'), release);
    expect(file).toMatchObject({ code: 1 });
    expect(file.stderr).toContain('is a file');
    expect(await readFile(product.path('mine.txt'), 'utf8')).toBe('mine');
    expect((await flash('/dev/null', release)).stderr).toContain('/dev/null is neither a block device nor a file');
    expect((await flash(product.path('nothing'), release)).stderr).toContain('lsblk lists the disks');
    expect((await flash('--to-file', product.path('x'), join(release, `${NAME}.bmap`))).stderr).toMatch(
      /no image of a disk/,
    );
  });

  it('does not write to a disk that nobody confirmed, nor to one that is too small or too large', async ({ skip }) => {
    await writeFile(product.path('disk'), '');
    await truncate(product.path('disk'), 64 << 20);
    const device = await runProgram('losetup', ['--find', '--show', product.path('disk')]).then(
      ({ stdout }) => stdout.toString().trim(),
      () => undefined,
    );
    if (!device) return skip('this system has no loop devices');
    try {
      const asked = await flash(device, release);
      expect(asked).toMatchObject({ code: 1 });
      expect(asked.stderr).toMatch(/All of it will be lost[^]*no terminal to ask/);
      const large = await flash('--yes', '--max-size', '32MiB', device, release);
      expect(large.stderr).toContain('has 64.0 MiB, more than 32.0 MiB, as --max-size says');
      expect((await readFile(product.path('disk'))).equals(Buffer.alloc(64 << 20))).toBe(true);
      const done = await flash('--yes', device, release);
      expect(done.code, done.stderr).toBe(0);
    } finally {
      await runProgram('losetup', ['--detach', device]);
    }
    const plain = await readFile(join(release, NAME));
    expect((await readFile(product.path('disk'))).subarray(0, plain.length).equals(plain)).toBe(true);
  });
});
