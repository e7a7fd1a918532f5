import { join } from 'node:path';
import { expect, it } from 'vitest';
import { composeProduct, openProduct } from '@boxship/compose';
import { openCache, silent } from '@boxship/host';
import { PASSWORD, fearProduct } from './fear-product.ts';

it('variants that are too many to be laid out at once are written in groups, with the same bytes', async () => {
  await using product = await fearProduct({
    yaml: (text) => text.replace('variants:\n', 'variants:\n  more: { extends: basic }\n'),
  });
  await product.lock();
  process.env['COSIGN_PASSWORD'] = PASSWORD;
  const open = await openProduct(product.file, {
    cache: openCache(product.cache.root),
    progress: silent,
    version: '0',
  });
  const digests = async (out: string, memoryAtOnce?: number) => {
    const plans: string[] = [];
    const composed = await composeProduct(
      open,
      {},
      {
        out: join(product.folder, out),
        ...(memoryAtOnce === undefined ? {} : { memoryAtOnce }),
        onPlan: ({ variant }) => plans.push(variant.name),
      },
    );
    expect(plans).toEqual(['more', 'basic']); // each once, however often it is laid out
    return composed.map(({ release }) => release.files);
  };
  const together = await digests('together');
  expect(together).toHaveLength(2);
  expect(await digests('one-by-one', 1)).toEqual(together);
});
