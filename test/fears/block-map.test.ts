import { open, readFile, writeFile } from 'node:fs/promises';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

const tool = await runProgram('bmaptool', ['--version']).catch(() => undefined);
if (!tool && process.env['CI'] === 'true') throw new Error('bmaptool is missing');

async function flipByte(product: FearProduct, position: number): Promise<void> {
  const file = await open(product.path('vendor.img'), 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

describe.skipIf(!tool)(`a vendor's block map beside the base image (bmaptool${tool ? '' : ' is missing'})`, () => {
  const mapped = async (product: FearProduct) => {
    const { stdout } = await runProgram('bmaptool', ['create', product.path('vendor.img')]);
    await writeFile(product.path('vendor.img.bmap'), stdout);
  };

  it('that fits is accepted', async () => {
    await using product = await fearProduct();
    await mapped(product);
    await product.lock();
    await product.lock();
    expect(await product.plan()).toHaveLength(1);
  });

  it('is checked by lock: one changed bit is refused, with the line of boxship.yaml', async () => {
    await using product = await fearProduct();
    await mapped(product);
    await product.lock();
    await flipByte(product, ROOTFS_START + 2048);
    const error = await refusal(product.lock());
    expect(error).toMatchObject({ code: 'BMAP_MISMATCH', problems: [{ where: { line: 5 } }] });
    expect(error.problems[0]!.hint).toBeTruthy();
    await flipByte(product, ROOTFS_START + 2048);
    await product.lock();
  });

  it('that is damaged or of another image is refused', async () => {
    await using product = await fearProduct();
    await mapped(product);
    const map = await readFile(product.path('vendor.img.bmap'), 'utf8');
    await product.write('vendor.img.bmap', map.slice(0, map.length / 2));
    expect((await refusal(product.lock())).code).toBe('BMAP_INVALID');
    await product.write('vendor.img.bmap', map);
    await product.write('vendor.img', (await readFile(product.path('vendor.img'))).subarray(0, 9 << 20));
    expect((await refusal(product.lock())).code).toMatch(/^BMAP_MISMATCH$|TABLE|GPT|PARTITION/);
  });
});
