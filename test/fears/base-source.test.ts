import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createLock, readApps, readProductFile, type Lock } from '@boxship/catalog';
import { runProgram, silent } from '@boxship/host';
import { registrySource, startTestRegistry } from '@boxship/oci';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

const withBase = (base: string) => (text: string) => text.replace('./vendor.img', base);
const hasSkopeo = await runProgram('skopeo', ['--version']).then(
  () => true,
  () => false,
);
if (!hasSkopeo && process.env['CI'] === 'true') throw new Error('not installed: skopeo');

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** An OCI layout of one artifact as `oras push` makes it (image-spec manifest.md, "Guidelines for Artifact Usage"). */
async function writeArtifact(folder: string, tag: string, files: readonly Uint8Array[]): Promise<void> {
  const put = async (bytes: Uint8Array, mediaType: string) => {
    const digest = digestOf(bytes);
    await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
    await writeFile(join(folder, 'blobs/sha256', digest.slice(7)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = await put(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
  const layers = [];
  for (const [index, bytes] of files.entries()) {
    const annotations = { 'org.opencontainers.image.title': `vendor-${index}.wic` };
    layers.push({ ...(await put(bytes, 'application/vnd.example.disk')), annotations });
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const artifactType = 'application/vnd.example.bsp';
  const manifest = await put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, artifactType, config, layers })),
    mediaType,
  );
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const index = { schemaVersion: 2, manifests: [{ ...manifest, artifactType, annotations }] };
  await writeFile(join(folder, 'index.json'), JSON.stringify(index));
}

const vendorImage = (product: FearProduct) => readFile(product.path('vendor.img'));

describe('a base that is a folder', () => {
  it('gives its one image, other files beside it, with the block map of it', async () => {
    await using product = await fearProduct({ yaml: withBase('./images/tiny') });
    await mkdir(product.path('images/tiny'), { recursive: true });
    await writeFile(product.path('images/tiny/vendor.wic.gz'), gzipSync(await vendorImage(product)));
    await runProgram('sh', ['-c', 'printf "u-boot" > u-boot.img; printf x > rootfs.ext4; echo a > Image; echo b > x.manifest'], { cwd: product.path('images/tiny') }); // prettier-ignore
    const lock = await product.lock();
    const bytes = await readFile(product.path('images/tiny/vendor.wic.gz'));
    expect(lock.bases['tiny']).toEqual({ from: './images/tiny', digest: digestOf(bytes), size: bytes.length });
    expect((await product.compose())[0]!.unchanged).toBe(false);
  });

  it('takes the link of the current build, as bitbake leaves it, not the dated files of earlier ones', async () => {
    await using product = await fearProduct({ yaml: withBase('./deploy-tiny') });
    const folder = product.path('deploy-tiny');
    await mkdir(folder);
    const image = await vendorImage(product);
    await writeFile(join(folder, 'core-image-base-tiny.rootfs-20250101.wic'), 'an old build, cut short'.repeat(100));
    await writeFile(join(folder, 'core-image-base-tiny.rootfs-20250202.wic'), image);
    await symlink('core-image-base-tiny.rootfs-20250202.wic', join(folder, 'core-image-base-tiny.rootfs.wic'));
    await symlink('gone.wic', join(folder, 'core-image-dev-tiny.rootfs.wic'));
    expect((await product.lock()).bases['tiny']!.digest).toBe(digestOf(image));
  });

  it('with several images is refused, naming all, with file:line:col; with none it says what it looked for', async () => {
    await using product = await fearProduct({ yaml: withBase('./many') });
    await mkdir(product.path('many'));
    for (const name of ['a.wic', 'b.img']) await copyFile(product.path('vendor.img'), product.path(`many/${name}`));
    const several = await refusal(product.lock());
    expect(several.code).toBe('SEVERAL_BASE_IMAGES');
    expect(several.message).toContain('holds 2 base images: a.wic, b.img');
    expect(several.problems[0]!.where).toMatchObject({ line: 5, column: 3 });
    for (const name of ['a.wic', 'b.img']) await rm(product.path(`many/${name}`));
    await writeFile(product.path('many/u-boot.img'), 'no disk'.repeat(1000));
    const none = await refusal(product.lock());
    expect(none.code).toBe('NO_BASE_IMAGE');
    expect(none.message).toContain('u-boot.img');
  });

  it('that holds another image after lock is told', async () => {
    await using product = await fearProduct({ yaml: withBase('./images/tiny') });
    await mkdir(product.path('images/tiny'), { recursive: true });
    const file = product.path('images/tiny/vendor.img');
    await copyFile(product.path('vendor.img'), file);
    await product.lock();
    const changed = await vendorImage(product);
    changed[40_000]! ^= 1;
    await writeFile(file, changed);
    expect((await refusal(product.plan())).code).toBe('BASE_CHANGED');
  });
});

describe('a base that is an OCI artifact', () => {
  it('comes from a layout by its name, or as the only one, and stays in the cache', async () => {
    await using product = await fearProduct({ yaml: withBase('oci:./bsp:1.2') });
    const image = gzipSync(await vendorImage(product));
    await writeArtifact(product.path('bsp'), '1.2', [image]);
    expect((await product.lock()).bases['tiny']).toEqual({ from: 'oci:./bsp:1.2', digest: digestOf(image), size: image.length }); // prettier-ignore
    await rm(product.path('bsp'), { recursive: true });
    expect(await product.plan()).toHaveLength(1);
    await product.edit('boxship.yaml', (text) => text.replace('oci:./bsp:1.2', 'oci:./bsp'));
    await writeArtifact(product.path('bsp'), '3', [image]);
    expect((await product.lock()).bases['tiny']!.digest).toBe(digestOf(image));
  });

  it.skipIf(!hasSkopeo)('comes from a layout that skopeo wrote', async () => {
    await using product = await fearProduct({ yaml: withBase('oci:./copy:two') });
    const image = await vendorImage(product);
    await writeArtifact(product.path('bsp'), '1', [image]);
    await runProgram('skopeo', ['--insecure-policy', 'copy', '-q', `oci:${product.path('bsp')}:1`, `oci:${product.path('copy')}:two`]); // prettier-ignore
    expect((await product.lock()).bases['tiny']!.digest).toBe(digestOf(image));
  });

  it.each([
    ['no layer', [], 'it has no layer'],
    ['two layers', [Buffer.from('a'), Buffer.from('bc')], 'it has 2 layers: application/vnd.example.disk (1 bytes)'],
  ])('with %s is refused', async (_name, files, message) => {
    await using product = await fearProduct({ yaml: withBase('oci:./bsp:1') });
    await writeArtifact(product.path('bsp'), '1', files);
    const error = await refusal(product.lock());
    expect(error.code).toBe('BAD_ARTIFACT');
    expect(error.message).toContain(message);
    expect(error.problems[0]!.where).toMatchObject({ line: 5 });
  });

  it('comes from a registry; a frozen lock brings the locked one back although its tag has moved', async () => {
    await using product = await fearProduct();
    await using server = await startTestRegistry();
    const reference = `${server.host}/acme/bsp:1.2`;
    await product.edit('boxship.yaml', withBase(`oci:${reference}`));
    const first = await vendorImage(product);
    await writeArtifact(product.path('first'), '1.2', [first]);
    await server.addLayout(product.path('first'), 'acme/bsp');
    const lockNow = async (earlier?: Lock) => {
      await using registry = registrySource({ attempts: 1, backoff: 1 });
      const read = await readProductFile(product.file);
      const options = { cache: product.cache, progress: silent, registry: () => Promise.resolve(registry) };
      return await createLock(read, readApps(read, silent), { ...options, ...(earlier ? { earlier } : {}) });
    };
    const lock = await lockNow();
    expect(lock.bases['tiny']).toEqual({ from: `oci:${reference}`, digest: digestOf(first), size: first.length });

    const second = Buffer.from(first);
    second[40_000]! ^= 1;
    await writeArtifact(product.path('second'), '1.2', [second]);
    await server.addLayout(product.path('second'), 'acme/bsp');
    await rm(product.cache.root, { recursive: true });
    expect((await lockNow(lock)).bases).toEqual(lock.bases);
    expect((await lockNow()).bases['tiny']!.digest).toBe(digestOf(second));
  });
});
