import { describe, expect, it } from 'vitest';
import { refusal } from './fear-product.ts';
import { teziProduct } from './tezi-product.ts';

// The recipe of Toradex' Verdin AM62 knows modules of 4 and of 16 GB.
const change = (text: string) =>
  text
    .replace(/ {2}tiny: .*/, '  tiny: { recipe: verdin-am62, base: ./tezi, platform: linux/amd64 }')
    .replace('data: { size: 8MiB }', 'data: { size: 3700MiB }');

describe('an image that the smallest module cannot hold', () => {
  it('is refused by plan, with the line and both numbers; larger modules can be named', async () => {
    await using product = await teziProduct({ change, productId: '0073' });
    await product.lock();
    const error = await refusal(product.compose());
    expect(error).toMatchObject({ code: 'STORAGE_TOO_SMALL', problems: [{ where: { line: 5 } }] });
    expect(error.message).toMatch(/needs 3\.7 GiB, the smallest verdin-am62 has 4\.0 GiB \(3\.6 GiB for sure\)/);
    expect(await product.outputs()).toEqual({});
    await product.edit('boxship.yaml', (text) => text.replace('linux/amd64 }', 'linux/amd64, storage: 16GiB }'));
    await product.lock();
    expect(await product.plan()).toHaveLength(1);
    await product.edit('boxship.yaml', (text) => text.replace('16GiB', '16Gb'));
    expect(await refusal(product.plan())).toMatchObject({ code: 'BAD_SIZE', problems: [{ where: { line: 5 } }] });
  });
});
