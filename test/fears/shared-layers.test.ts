import { createHash } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { copyFile, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeProduct, openProduct, rebase, updateApps, type ComposedVariant, type Release } from '@boxship/compose';
import { openCache, runProgram, silent, type Progress } from '@boxship/host';
import { beforeAll, afterAll, expect, it } from 'vitest';
import {
  fearProduct,
  GOOD_LAYERS,
  noise,
  PASSWORD,
  refusal,
  type FearProduct,
  type LayerEntry,
} from './fear-product.ts';
import { payloadByTools } from './payload-by-tools.ts';

const MiB = 1024 * 1024;
/** Large enough for a thread and a part of its own; many files, so that blocks end with zeros. */
const LARGE: readonly LayerEntry[] = [
  { name: 'data/', type: 'directory', mode: 0o755 },
  ...Array.from({ length: 40 }, (_, file) => ({ name: `data/${file}`, mode: 0o644, body: noise(MiB / 4 + file) })),
];

let product: FearProduct;
/** The large layer in the cache, and a copy of it. */
let blob: string;
let kept: string;
beforeAll(async () => {
  product = await fearProduct({
    layers: [...GOOD_LAYERS, LARGE],
    yaml: (text) => text.replace('variants:\n', 'variants:\n  more: { extends: basic }\n'),
  });
  const lock = await product.lock();
  const large = lock.images[0]!.layers.reduce((a, b) => (a.blob.size > b.blob.size ? a : b)).blob.digest.slice(7);
  blob = product.cache.path('blob', large);
  kept = product.path('kept');
  await copyFile(blob, kept);
});
afterAll(() => product[Symbol.asyncDispose]());

async function openAgain(progress: Progress = silent) {
  process.env['COSIGN_PASSWORD'] = PASSWORD;
  return await openProduct(product.file, { cache: openCache(product.cache.root), progress, version: '0' });
}

async function compose(variant: string, out = 'deploy'): Promise<ComposedVariant> {
  return (await composeProduct(await openAgain(), { variants: [variant] }, { out: product.path(out) }))[0]!;
}

const imageOf = ({ folder, release }: Pick<ComposedVariant, 'folder' | 'release'>) => {
  const file = release.files.find(({ name }) => name.endsWith('.img'))!;
  return { path: join(folder, file.name), payload: file.payload!, digest: file.digest };
};
/** Who inflates the layer now finds out that it is not what it should be. */
const damageBlob = async () => await writeFile(blob, Buffer.alloc((await readFile(kept)).length, 'x'));
const restoreBlob = () => copyFile(kept, blob);

async function expectSame(a: ComposedVariant, b: ComposedVariant) {
  await runProgram('cmp', [imageOf(a).path, imageOf(b).path]);
  expect(imageOf(a).payload).toEqual(imageOf(b).payload);
  expect(`sha256:${createHash('sha256').update(await readFile(imageOf(a).path)).digest('hex')}`).toBe(imageOf(a).digest); // prettier-ignore
}

it('a large layer is copied from an image that has it, digested, and inflated when a byte of that image differs', async () => {
  const fresh = await compose('more', 'fresh');
  const { payload, path } = imageOf(fresh);
  const part = payload.parts.find(({ name }) => name.startsWith('store/sha256:'))!;
  expect(payload.parts.map(({ name }) => name)).toEqual(['store', part.name, 'data']);
  expect(await payloadByTools(path, payload)).toBe(payload.digest);

  // nobody reads the layer: it comes from an image of another variant, whose other parts differ
  const basic = await compose('basic');
  expect(imageOf(basic).digest).not.toBe(imageOf(fresh).digest);
  expect(imageOf(basic).payload.parts.find(({ name }) => name === part.name)!.digest).toBe(part.digest);
  await damageBlob();
  await expectSame(await compose('more'), fresh);

  // one flipped byte of what would be copied: with the blob the result is what it was, without it there is none
  await rm(product.path('deploy/acme-1.0.0'), { recursive: true });
  await restoreBlob();
  const earlier = imageOf(await compose('basic')).path;
  const place = part.ranges.at(-1)!.end - 4096 - 1;
  const handle = await open(earlier, 'r+');
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, place);
  await handle.write(Buffer.of(buffer[0]! ^ 1), 0, 1, place);
  await handle.close();
  await expectSame(await compose('more'), fresh);
  await rm((await compose('more')).folder, { recursive: true });
  await damageBlob();
  expect((await refusal(compose('more'))).code).toBe('WRONG_DIGEST');
  await product.lock(); // fetches the blob again
  await expectSame(await compose('more'), fresh);
});

it('a base of another size, and a release that is cut off, missing or no release, change nothing', async () => {
  await rm(product.path('deploy'), { recursive: true, force: true });
  await restoreBlob();
  const basic = await compose('basic');
  const base = product.path('vendor.img');
  await runProgram('truncate', ['-s', '+8M', base]);
  await runProgram('sfdisk', ['--relocate', 'gpt-bak-std', base]);
  await runProgram('sfdisk', ['--append', '--no-reread', base], { input: Buffer.from(',,L\n') });
  await product.lock();
  const fresh = await compose('more', 'fresh');
  await damageBlob();
  const more = await compose('more');
  await expectSame(more, fresh);
  expect(imageOf(more).payload.parts[1]!.ranges).not.toEqual(imageOf(basic).payload.parts[1]!.ranges);

  await restoreBlob();
  await rm(more.folder, { recursive: true });
  await runProgram('truncate', ['-s', '-1M', imageOf(basic).path]);
  await expectSame(await compose('more'), fresh);
  await rm(more.folder, { recursive: true });
  await rm(imageOf(basic).path);
  await expectSame(await compose('more'), fresh);
  await rm(more.folder, { recursive: true });
  await writeFile(join(basic.folder, 'release.json'), '{ "files": [{ "payload": { "parts": 7 } }] }');
  await expectSame(await compose('more'), fresh);
});

it('variants that are written one group after another copy from the image before', async () => {
  await restoreBlob();
  await rm(product.path('deploy'), { recursive: true, force: true });
  let writing = 0;
  const progress: Progress = {
    ...silent,
    start(name, total) {
      if (name === 'composing' && ++writing === 2) writeFileSync(blob, Buffer.alloc(statSync(blob).size, 'x'));
      return silent.start(name, total);
    },
  };
  const opened = await openAgain(progress);
  const composed = await composeProduct(opened, {}, { out: product.path('deploy'), memoryAtOnce: 1 });
  expect([writing, composed.length]).toEqual([2, 2]);
  const parts = composed.map((one) => imageOf(one).payload.parts.map(({ digest }) => digest));
  expect(parts[0]!.map((digest, part) => digest === parts[1]![part])).toEqual([false, true, true]);
});

it('an exchanged half has its layers as parts, too, and is copied from the release that it comes from', async () => {
  await restoreBlob();
  await rm(product.path('deploy'), { recursive: true, force: true });
  const old = await compose('basic');
  const layers = imageOf(old).payload.parts;
  const released = async ({ folder }: { folder: string }) => {
    const release = JSON.parse(await readFile(join(folder, 'release.json'), 'utf8')) as Release;
    const { path, payload } = imageOf({ folder, release });
    expect(await payloadByTools(path, payload)).toBe(payload.digest);
    return payload.parts;
  };
  await product.edit('boxship.yaml', (text) => text.replace('version: 1.0.0', 'version: 2.0.0'));
  await product.edit('app/compose.yaml', (text) => `${text}    environment: { COLOUR: blue }\n`);
  await product.lock();
  await damageBlob();
  const updated = await released(await updateApps(await openAgain(), old.folder, { out: product.path('deploy') }));
  expect(updated.map(({ name }) => name)).toEqual(layers.map(({ name }) => name));
  expect(updated.map(({ digest }, part) => digest === layers[part]!.digest)).toEqual([false, true, true]);
  const base = product.path('vendor.img');
  expect((await released(await rebase(await openAgain(), old.folder, { base, out: product.path('rebased') }))).map(({ digest }) => digest)).toEqual(layers.map(({ digest }) => digest)); // prettier-ignore
});

it('a layer of zstd is digested by lock alone, and its part has that digest', async () => {
  await using packed = await fearProduct({ layers: [...GOOD_LAYERS, LARGE], compression: 'zstd' });
  await packed.lock();
  const [first] = await packed.compose();
  const { payload, path } = imageOf(first!);
  expect(payload.parts.map(({ name }) => name.replace(/[0-9a-f]{64}/, ''))).toEqual(['store', 'store/sha256:', 'data']);
  expect(await payloadByTools(path, payload)).toBe(payload.digest);
});
