import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layerFiles, planLayer } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

const GOLDEN = new URL('../../../test/golden/yocto/', import.meta.url).pathname;

/** Whole layers, to be read as files. `npx vitest run -u` writes them anew. */
const LAYERS: readonly (readonly [folder: string, changes: Readonly<Record<string, string>>])[] = [
  ['docker-scarthgap', {}],
  ['docker-wrynose', { yocto: '{ release: wrynose, maintainer: Jane Doe <jane@acme.example> }' }],
];

describe('the layer', () => {
  it.each(LAYERS)('%s is the golden tree', async (folder, changes) => {
    const plan = planLayer(sampleProduct(changes));
    const files = await layerFiles(plan, { key: { publicKeyPem, development: false } });
    const root = join(GOLDEN, folder);
    for (const { path, text } of files) await expect(text).toMatchFileSnapshot(join(root, `meta-${plan.section.name}`, path));
    expect(await golden(root)).toEqual(files.map(({ path }) => `meta-${plan.section.name}/${path}`));
  });
}); // prettier-ignore

async function golden(root: string): Promise<string[]> {
  const entries = existsSync(root) ? await readdir(root, { recursive: true, withFileTypes: true }) : [];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}
