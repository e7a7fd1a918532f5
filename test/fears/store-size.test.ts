import { MiB } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { fearProduct, noise, refusal } from './fear-product.ts';

describe('a store that is too small', () => {
  // 8 MiB is where mke2fs, and so we, begin to keep a journal: less than 7 MiB of files fit into 7 MiB, and not into 8 MiB
  it.each([
    ['2MiB', '0%'],
    ['8MiB', '0%'],
    ['8MiB', '20%'],
    ['7.5MiB', '0%'],
    ['8MB', '10%'],
  ])('names a size that does when it is written, and one MiB less does not: %s, %s', async (size, reserve) => {
    await using product = await fearProduct({ layers: [[{ name: 'blob', body: noise(6 * MiB) }]] });
    const original = `store: { size: ${size}, reserve: ${reserve} }\n`;
    await product.edit('boxship.yaml', (text) => `${text}${original}`);
    await product.lock();
    const { code, message, problems } = await refusal(product.plan());
    expect(code).toBe('STORE_FULL');
    const named = Number(/size: (\d+)MiB/.exec(problems[0]!.hint!)![1]);
    expect(message).toContain(`need ${named}.0 MiB`);

    const write = (mebibytes: number) =>
      product.edit('boxship.yaml', (text) => text.replace(/^store:.*$/m, `store: { size: ${mebibytes}MiB, reserve: ${reserve} }`)); // prettier-ignore
    await write(named);
    const [plan] = await product.plan();
    expect(plan!.budget.size).toBe(named * MiB);
    expect(plan!.budget.free).toBeGreaterThanOrEqual((plan!.budget.size * Number.parseInt(reserve)) / 100);
    await write(named - 1);
    expect((await refusal(product.plan())).code).toBe('STORE_FULL');
  });
});
