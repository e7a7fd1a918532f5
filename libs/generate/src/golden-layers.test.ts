import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layerFiles, planLayer } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

const GOLDEN = new URL('../../../test/golden/yocto/', import.meta.url).pathname;

const MAINTAINER = 'maintainer: Jane Doe <jane@acme.example>';

/** Whole layers, to be read as files. `npx vitest run libs/generate -u` writes them anew; run it again to see it pass. */
const LAYERS: readonly (readonly [folder: string, changes: Readonly<Record<string, string>>])[] = [
  ...['docker', 'podman', 'containerd', 'k3s'].flatMap((engine) =>
    ['scarthgap', 'wrynose', 'master'].map((release) => {
      return [`${engine}-${release}`, { engine, yocto: `{ release: ${release}, ${MAINTAINER} }` }] as const;
    }),
  ),
  [
    'all-machines-scarthgap',
    {
      machines:
        '{ qemux86-64: {}, qemuarm64: {}, raspberrypi4-64: {}, verdin-imx8mp: {}, imx8mp-lpddr4-evk: {}, am62xx-evm: {}, apalis-imx6: {}, genericx86-64: {} }',
    },
  ],
  [
    'two-engines-wrynose',
    {
      variants:
        '{ basic: { apps: [web] }, pro: { extends: basic, apps: [hmi], engine: { name: podman, imageStore: additional } } }',
      yocto: `{ release: wrynose, ${MAINTAINER} }`,
    },
  ],
  [
    'settings-wrynose',
    {
      machines: '{ imx8mp-lpddr4-evk: {}, raspberrypi4-64: {} }',
      engine:
        '{ name: docker, start: compose, settings: { logs: { maxSize: 4MiB, maxFiles: 3 }, liveRestore: false, addressPools: [{ base: 10.200.0.0/16, size: 24 }], ' +
        'insecureRegistries: ["registry.acme.example:5000"], mirrors: { docker.io: ["https://mirror.acme.example"] } } }',
      yocto: `{ release: wrynose, ${MAINTAINER}, name: acme, distro: acme-distro, homepage: "https://acme.example/gateway", summary: "Acme's gateway", ab: true, rootSize: 1GiB, packages: [i2c-tools], bundle: build, layers: { acme-distro: { repository: "https://git.acme.example/meta-acme-distro.git", branch: main, path: distro, commit: "${'1'.repeat(40)}" } } }`,
    },
  ],
];

/** What `boxship store` would have written, for layers that put it into the image. */
const BUNDLES = Object.fromEntries(
  ['imx8mp-lpddr4-evk', 'raspberrypi4-64'].flatMap((machine) =>
    ['basic', 'pro'].map((variant) => {
      const file = `acme-gateway-1.4.0-rc.1-${machine}-${variant}`;
      const folder = `acme-gateway-1.4.0-rc.1/${machine}-docker-${variant}`;
      return [`${machine}/${variant}`, { folder, file, store: 'a'.repeat(64), data: 'b'.repeat(64), suffix: '.zst' }];
    }),
  ),
);

describe('the layer', () => {
  it.each(LAYERS)('%s is the golden tree', async (folder, changes) => {
    const plan = planLayer(sampleProduct(changes));
    const files = await layerFiles(plan, { key: { publicKeyPem, development: false }, bundles: BUNDLES, ...(plan.section.bundle === 'build' ? { storesFromOut: '../store' } : {}) });
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
