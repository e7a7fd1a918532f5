import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planExt4, writeExt4 } from '@boxship/filesystem';
import { openCache } from '@boxship/host';
import { afterAll, beforeAll, expect } from 'vitest';
import { openImageLayer } from './image-layer.ts';
import { itNeeds, pythonTar, putBlob } from './test-layers.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-laid-out-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const withPython = await itNeeds('python3');

let count = 0;
async function layer(script: string) {
  const path = await pythonTar(folder, `${++count}.tar`, script);
  const opened = await openImageLayer(
    await putBlob(folder, await readFile(path)),
    openCache(join(folder, `cache-${count}`)),
  );
  return { ...opened, tar: path };
}

/** What the store would hold of the layer. */
async function laidOut({ inventory, content }: Awaited<ReturnType<typeof layer>>) {
  const plan = planExt4(
    { entries: () => inventory.entries() },
    {
      uuid: '6b1b1ea0-7e1b-4c2b-8f1a-2f3b4c5d6e7f',
      hashSeed: '6b1b1ea0-7e1b-4c2b-8f1a-2f3b4c5d6e7f',
      label: 'store',
      epoch: 0,
      size: { auto: true, reserveFraction: 0 },
    },
  );
  const image = Buffer.alloc(plan.sizeBytes);
  await writeExt4(plan, {
    write: (position, bytes) => Promise.resolve(void image.set(bytes, position)),
  });
  const run = plan.contentRun(content);
  const hash = createHash('sha256');
  for (const { start, end } of run?.ranges ?? []) hash.update(image.subarray(start, end));
  return run && { sequence: run.sequence, sha256: hash.digest('hex') };
}

const MANY = `
f('data/', kind='d', mode=0o755)
for i in range(300): f('data/%d' % i, bytes([i % 256]) * (i * 977 % 70000))
f('data/exact', b'e' * 4096); f('data/empty'); f('data/again', kind='l', link='data/exact'); f('data/link', kind='s', link='exact')
f('data/long', b'l' * 300001); f('last', b'x')
`;

withPython('an inventory knows the blocks that the files of a layer become', async () => {
  const opened = await layer(MANY);
  expect(opened.inventory.laidOut).toEqual(await laidOut(opened));
  expect(opened.content.laidOut).toEqual(opened.inventory.laidOut);
  // of other bytes it is another one, in the same places
  const other = await layer(MANY.replace("b'x'", "b'y'"));
  expect(other.inventory.laidOut!.sequence).toBe(opened.inventory.laidOut!.sequence);
  expect(other.inventory.laidOut!.sha256).not.toBe(opened.inventory.laidOut!.sha256);
  expect(other.inventory.laidOut).toEqual(await laidOut(other));
});

withPython('it says nothing of files that are dropped or sparse', async () => {
  const twice = await layer(`${MANY}f('last', b'later')\n`);
  expect(twice.inventory.hasDuplicates).toBe(true);
  expect(twice.inventory.laidOut).toBeUndefined();
  expect(await laidOut(twice)).toBeDefined();
  const sparse = await layer(
    "f('s', b'1\\n0\\n4096\\n'.ljust(512, b'\\0') + b'd' * 4096, pax_headers={'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 's', 'GNU.sparse.realsize': '1000000'})",
  );
  expect(sparse.inventory.entryCount).toBe(1);
  expect(sparse.inventory.laidOut).toBeUndefined();
});
