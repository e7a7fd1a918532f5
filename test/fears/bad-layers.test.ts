import { readFile, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { digestHex } from '@boxship/model';
import { blobPath } from '@boxship/oci';
import { writeTar } from '../fixtures/images/tar-writer.mjs';
import { IMAGE, exists, fearProduct, refusal, writeImage, type LayerEntry } from './fear-product.ts';

const file = (name: string, body = 'x'): LayerEntry => ({ name, body: Buffer.from(body) });

/** Locks and plans a product whose one layer has these entries. */
async function tryLayer(...entries: LayerEntry[]) {
  await using product = await fearProduct({ layers: [entries] });
  await product.lock();
  return await product.plan();
}

it('a good product composes, and again gives the same bytes', async () => {
  await using product = await fearProduct();
  await product.lock();
  const [first] = await product.compose();
  expect(first!.unchanged).toBe(false);
  const outputs = await product.outputs();
  expect((await product.compose())[0]!.unchanged).toBe(true);
  await product.compose(product.path('other'));
  await using twin = await fearProduct();
  await twin.lock();
  await twin.compose();
  expect(await twin.outputs()).toEqual(outputs);
});

describe('an entry of a layer', () => {
  it.each([['../outside'], ['a/../../outside'], ['..']])('named "%s" is refused when it is locked', async (name) => {
    const error = await refusal(tryLayer(file(name)));
    expect(error.code).toMatch(/^TAR_/);
    expect(error.message).toContain('..');
    expect(error.problems[0]!.hint).toBeTruthy();
  });

  it('with an absolute name lies below the root of the layer', async () => {
    expect(await tryLayer(file('/etc/app.conf'))).toHaveLength(1);
  });

  it.each([
    ['a symlink', { name: 'etc', type: 'symlink', target: '/../../etc' }],
    ['a file', file('etc')],
    ['a device', { name: 'etc', type: 'char', device: [1, 3] }],
  ] as [string, LayerEntry][])('below %s of the same layer is refused', async (_what, parent) => {
    for (const entries of [
      [parent, file('etc/passwd')],
      [file('etc/passwd'), parent],
    ]) {
      const error = await refusal(tryLayer(...entries));
      expect(error.message).toContain('etc');
      expect(error.message).toContain(IMAGE);
      expect(error.problems[0]!.hint).toBeTruthy();
    }
  });

  it('that is a hard link to nowhere, to itself or to a directory is refused', async () => {
    const missing = await refusal(tryLayer({ name: 'a', type: 'link', target: 'nowhere' }));
    expect(missing.code).toBe('HARDLINK_TARGET_MISSING');
    expect((await refusal(tryLayer({ name: 'a', type: 'link', target: 'a' }))).code).toMatch(/^HARDLINK_/);
    const directory: LayerEntry = { name: 'd/', type: 'directory' };
    expect((await refusal(tryLayer(directory, { name: 'a', type: 'link', target: 'd' }))).code).toBe('HARDLINK_TO_DIRECTORY');
  }); // prettier-ignore

  it('that is a hard link out of the layer is refused', async () => {
    const error = await refusal(tryLayer({ name: 'a', type: 'link', target: '../../etc/passwd' }));
    expect(error.message).toContain('..');
  });

  it.each([['.wh.'], ['a/.wh.'], ['.wh..'], ['a/.wh...']])('named "%s", a whiteout of no name, is refused', async (name) => {
    const error = await refusal(tryLayer(file(name, '')));
    expect(error.code).toBe('BAD_WHITEOUT');
    expect(error.message).toContain(name);
  }); // prettier-ignore

  it('with a name longer than ext4 allows is refused with its length', async () => {
    const name = `${'n'.repeat(256)}`;
    const error = await refusal(tryLayer(file(`a/${name}`)));
    expect(error.message).toMatch(/256/);
    expect(error.message).toMatch(/255/);
    expect(error.message).toContain(IMAGE);
    expect(await tryLayer(file(`a/${name.slice(1)}`))).toHaveLength(1);
  });

  it('that is a device is kept, and told in the plan', async () => {
    const [plan] = await tryLayer(
      { name: 'dev/null', type: 'char', device: [1, 3] },
      { name: 'dev/sda', type: 'block', device: [8, 0] },
    );
    expect(plan!.warnings.join('\n')).toMatch(/2 device nodes/);
  });
});

describe('a layer', () => {
  it('that unpacks to more than the store holds is refused before a byte is written', async () => {
    // a gzip bomb is stopped while it is read: libs/image-layers; this one is within what a layer may unpack to
    await using product = await fearProduct({ layers: [[{ name: 'zeros', body: Buffer.alloc(64 << 20) }]] });
    await product.lock();
    const [plan] = await product.plan();
    expect(plan!.budget.contents).toBeGreaterThan(64 << 20);
    await product.edit('boxship.yaml', (text) => `${text}store: { size: 32MiB }\n`);
    const error = await refusal(product.compose());
    expect(error.code).toBe('STORE_FULL');
    expect(error.message).toMatch(/variant "basic" of "tiny".*54\.0 MiB are missing.*86\.0 MiB.*32\.0 MiB/s);
    expect(error.message).toMatch(
      /The largest layers:\n +64\.0 MiB +[0-9a-f]{12} +registry\.example\.com\/acme\/app:1/,
    );
    expect(await exists(product.out)).toBe(false);
  });

  it('whose tar ends in the middle is refused, and named', async () => {
    const tar = writeTar([{ name: 'a', body: Buffer.alloc(4096, 1) }]);
    await using product = await fearProduct({ layers: [tar.subarray(0, 2048)] });
    const error = await refusal(product.lock());
    expect(error.code).toBe('TAR_TRUNCATED');
    expect(error.message).toMatch(/sha256:[0-9a-f]{8}/);
  });

  it('that was flipped or cut in the cache after lock is told, with its file; after lock it works', async () => {
    await using product = await fearProduct();
    const lock = await product.lock();
    const layer = lock.images[0]!.layers[0]!.blob;
    const blob = blobPath(product.cache, layer.digest);
    const good = await readFile(blob);
    const bad = Buffer.from(good);
    bad[700_000]! ^= 1;
    await writeFile(blob, bad);
    const flipped = await refusal(product.compose());
    expect(flipped.code).toBe('WRONG_DIGEST');
    expect(flipped.message).toContain(digestHex(layer.digest));
    expect(flipped.problems[0]!.hint).toContain('boxship lock');
    expect(flipped.problems[0]!.where!.file).toBe(blob);
    expect(await product.outputs()).toEqual({});
    await product.lock();
    expect((await product.compose())[0]!.unchanged).toBe(false);
    const whole = await product.outputs();

    await truncate(blob, 1000);
    const cut = await refusal(product.compose(product.path('again')));
    expect(cut.message).toContain(layer.digest);
    expect(cut.problems[0]!.hint).toContain('boxship lock');
    await product.lock();
    await product.compose(product.path('again'));
    expect(await product.outputs()).toEqual(whole);
  });

  it.each(['manifest', 'config'] as const)('whose %s was changed in the cache is told', async (part) => {
    await using product = await fearProduct();
    const lock = await product.lock();
    const blob = blobPath(product.cache, lock.images[0]![part].digest);
    const bytes = await readFile(blob);
    bytes[10]! ^= 1;
    await writeFile(blob, bytes);
    const error = await refusal(product.plan());
    expect(error).toMatchObject({ code: 'WRONG_DIGEST' });
    expect(error.message).toContain(blob);
    await product.lock();
    expect(await product.plan()).toHaveLength(1);
  });
});

describe('an image', () => {
  it('without the platform of the machine is refused, with what is offered and who wants it', async () => {
    await using product = await fearProduct();
    writeImage(product.path('images/app'), [[file('a')]], ['arm64', 'riscv64']);
    const error = await refusal(product.lock());
    expect(error.message).toContain('linux/amd64');
    expect(`${error.message} ${error.problems[0]!.hint}`).toMatch(/linux\/arm64.*linux\/riscv64/);
    expect(error.problems[0]!.where).toMatchObject({ line: 3 });
    expect(error.problems[0]!.where!.file).toContain('compose.yaml');
  });
});
