import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openProduct, updateApps, verifyRelease, type ComposedVariant } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { verifyStatement } from 'cosign-node-binding';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GOOD_LAYERS, fearProduct, noise, refusal, type FearProduct } from './fear-product.ts';

// Bills of materials and provenance beside a release: what real cosign and dpkg say of them, and what a change of them does.

const STATUS =
  'Package: busybox\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.36-2\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n';
const OS = 'ID=debian\nVERSION_ID="12"\n';
const DOCUMENTS = ['cdx', 'spdx', 'provenance'];
const cosign = join(
  process.env['BOXSHIP_TEST_CACHE'] || join(homedir(), '.cache', 'boxship-test'),
  'tools/cosign-sid/usr/bin/cosign',
);

let product: FearProduct;
let first: ComposedVariant;
beforeAll(async () => {
  product = await fearProduct({
    layers: [
      [
        { name: 'usr/lib/os-release', body: Buffer.from(OS) },
        { name: 'bin/noise', body: noise(300_000) },
        { name: 'var/lib/dpkg/status', body: Buffer.from(STATUS) },
      ],
      ...GOOD_LAYERS,
    ],
    yaml: (text) => `${text}documents: [provenance, cyclonedx, spdx]\n`,
  });
  await product.lock();
  [first] = (await product.compose()) as [ComposedVariant];
});
afterAll(() => product[Symbol.asyncDispose]());

const nameOf = (document: string) => `acme-1.0.0-tiny-basic.${document}.json`;
const pathOf = (document: string) => join(first.folder, nameOf(document));
const read = async <T>(path: string) => JSON.parse(await readFile(path, 'utf8')) as T;
const verify = () => verifyRelease(first.folder, product.keys.publicKeyPem);

/** Runs `work` with another content of a file of the release, and puts it back. */
async function changed(document: string, change: (text: string) => string, work: () => Promise<void>) {
  const before = await readFile(pathOf(document), 'utf8');
  await writeFile(pathOf(document), change(before));
  await work().finally(() => writeFile(pathOf(document), before));
}

describe('the documents of a release', () => {
  it('are named by the plan and by release.json, signed, and verified with it', async () => {
    const names = DOCUMENTS.map(nameOf);
    const [plan] = await product.plan();
    expect(plan!.files).toEqual(expect.arrayContaining(names));
    expect(first.release.files.filter(({ document }) => document).map(({ name }) => name).sort()).toEqual(names.sort());
    expect((await verify()).files.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  });

  it('list the packages of the image and of the base, and every file that was made', async () => {
    interface Part { name: string; type: string; components: { name: string; version: string; purl?: string }[] }
    const { components, metadata } = await read<{ components: Part[]; metadata: { component: { components: { name: string; hashes: { content: string }[] }[] } } }>(pathOf('cdx'));
    const app = components.find(({ type }) => type === 'container')!;
    expect(app.components).toMatchObject([{ name: 'busybox', version: '1:1.36-2', purl: 'pkg:deb/debian/busybox@1:1.36-2?arch=amd64&distro=debian-12' }]);
    expect(app.components).toHaveLength(1);
    const image = first.release.files.find(({ name }) => name.endsWith('.img'))!;
    expect(metadata.component.components.find(({ name }) => name === image.name)!.hashes[0]!.content).toBe(image.digest.slice(7));
    const { packages } = await read<{ packages: { name: string }[] }>(pathOf('spdx'));
    expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(['busybox', 'registry.example.com/acme/app:1', 'base-image-of-tiny', image.name]));
  });

  it('are the same bytes each time, with packages known already or not', async () => {
    const [again] = await product.compose(product.path('again'));
    for (const document of DOCUMENTS) {
      expect(await readFile(join(again!.folder, nameOf(document)))).toEqual(await readFile(pathOf(document)));
    }
  });

  it('come with what is made of a release, too, and name it', async () => {
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const { plan, release, folder } = await updateApps(open, first.folder, { out: product.path('updated') });
    expect(release!.files.map(({ name }) => name).sort()).toEqual([...plan.files].sort());
    await verifyRelease(folder, product.keys.publicKeyPem);
    const bundle = await readFile(join(folder, nameOf('provenance')), 'utf8');
    const { predicate } = JSON.parse(verifyStatement(product.keys.publicKeyPem, bundle).statement) as { predicate: { buildDefinition: { resolvedDependencies: { name: string; digest: { sha256: string } }[] } } };
    expect(predicate.buildDefinition.resolvedDependencies[0]).toEqual({
      name: 'release 1.0.0, base kept',
      digest: { sha256: first.release.files[0]!.digest.slice(7) },
    });
  }); // prettier-ignore

  it('say to real cosign who made the image, and of nothing else', async (context) => {
    const there = await runProgram(cosign, ['version']).then(() => true, () => false);
    if (!there && process.env['CI'] !== 'true') context.skip('run node tools/setup/debian-tools.mjs cosign/sid');
    const attested = (file: string) =>
      runProgram(cosign, ['verify-blob-attestation', '--key', product.path('release.pub'), '--insecure-ignore-tlog', '--type', 'slsaprovenance1', '--bundle', pathOf('provenance'), file]);
    const image = first.release.files[0]!.name;
    expect((await attested(join(first.folder, image))).stderr).toContain('Verified OK');
    await expect(attested(product.path('vendor.img'))).rejects.toThrow();
  });

  it('are refused when they were changed, or speak of another release', async () => {
    await changed('cdx', (text) => text.replace('busybox', 'busibox'), async () => {
      expect((await refusal(verify())).problems).toMatchObject([{ code: 'WRONG_DIGEST' }]);
    });
    await changed('provenance', (text) => text.replace(/"payload":"..../, '"payload":"AAAA'), async () => {
      expect((await refusal(verify())).problems.map(({ code }) => code)).toEqual(['WRONG_DIGEST', 'SIGNATURE_MISMATCH']);
    });
  });

  it('are refused as a word that there is not', async () => {
    await product.edit('boxship.yaml', (text) => text.replace('spdx]', 'spdy]'));
    const error = await refusal(product.plan());
    expect(error.message).toMatch(/boxship\.yaml:\d+:\d+.*documents/s);
    await product.edit('boxship.yaml', (text) => text.replace('spdy]', 'spdx]'));
  });
}); // prettier-ignore
