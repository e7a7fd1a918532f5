import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import type { ComposedVariant } from '@boxship/compose';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

const withArtifacts = (list: string) => (text: string) => `${text}artifacts: ${list}\n`;

async function composed(product: FearProduct): Promise<{ folder: string; names: string[] }> {
  await product.lock();
  const [{ folder }] = (await product.compose()) as readonly [ComposedVariant];
  const names = (await readdir(folder)).filter((name) => !/\.(sig|sigstore\.json)$|^release\.json$/.test(name));
  return { folder, names: names.sort() };
}

const IMAGE = 'acme-1.0.0-tiny-basic.img';
const SPARSE = 'acme-1.0.0-tiny-basic.simg';

describe('the forms of one disk image', () => {
  it('hold the same bytes: of one run, of runs with one form each, and for simg2img', async () => {
    await using product = await fearProduct({
      yaml: withArtifacts('[raw, raw: { compression: zst }, android-sparse]'),
    });
    const { folder, names } = await composed(product);
    expect(names).toEqual([IMAGE, `${IMAGE}.bmap`, `${IMAGE}.zst`, SPARSE]);
    const plain = await readFile(join(folder, IMAGE));
    await runProgram('simg2img', [join(folder, SPARSE), product.path('unfolded.img')]);
    // what is skipped was nothing: the file is new
    expect((await readFile(product.path('unfolded.img'))).equals(plain)).toBe(true);
    const digests = await product.outputs();

    await product.edit('boxship.yaml', (text) => text.replace(/artifacts: .*/, 'artifacts: [android-sparse]'));
    const alone = await composed(product);
    expect(alone.names).toEqual([SPARSE]); // the plain image is gone
    const again = await product.outputs();
    const of = (all: Readonly<Record<string, string>>) =>
      Object.entries(all).find(([name]) => name.endsWith('.simg'))![1];
    expect(of(again)).toBe(of(digests));
  });

  it('is split for fastboot as the plan says, each file signed', async () => {
    await using product = await fearProduct({ yaml: withArtifacts('[raw, android-sparse: { splitSize: 4MiB }]') });
    await product.lock();
    const [plan] = await product.plan();
    const { folder, names } = await composed(product);
    expect(names).toEqual([...plan!.files].sort());
    const parts = names.filter((name) => name.startsWith(`${SPARSE}.`));
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) {
      expect((await stat(join(folder, part))).size).toBeLessThanOrEqual(4 << 20);
      await stat(join(folder, `${part}.sigstore.json`));
    }
    const inOrder = parts.sort((a, b) => Number(a.split('.').at(-1)) - Number(b.split('.').at(-1)));
    await runProgram('simg2img', [...inOrder.map((name) => join(folder, name)), product.path('unfolded.img')]);
    expect((await readFile(product.path('unfolded.img'))).equals(await readFile(join(folder, IMAGE)))).toBe(true);
  });

  it('a limit that no block fits into is refused before anything is written', async () => {
    await using product = await fearProduct({ yaml: withArtifacts('[android-sparse: { splitSize: 4KiB }]') });
    await product.lock();
    expect((await refusal(product.compose())).code).toBe('SPARSE_LIMIT');
    expect(await product.outputs()).toEqual({});
  });
});

describe('a base image in Android sparse format', () => {
  it('gives the same artifact as the plain one', async () => {
    await using product = await fearProduct();
    const one = await composed(product);
    const plain = await readFile(join(one.folder, IMAGE));
    await runProgram('img2simg', [product.path('vendor.img'), product.path('vendor.simg')]);
    await product.edit('boxship.yaml', (text) => text.replace('./vendor.img', './vendor.simg'));
    const other = await composed(product);
    expect((await readFile(join(other.folder, IMAGE))).equals(plain)).toBe(true);
  });
});
