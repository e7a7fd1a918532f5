import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCache, runProgram, silent, type Cache } from '@boxship/host';
import { digestHex, type Platform } from '@boxship/model';
import { fetchImage, hasBlob, openLocalImages, parsePlatform, writeOciLayout, type WrittenImage } from './index.ts';
import { sampleImage } from './testing/sample-image.ts';
import { findSkopeo, skopeo } from './testing/skopeo.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const hasSkopeo = await findSkopeo();
let folder: string;
let cache: Cache;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-oci-'));
  cache = openCache(join(folder, 'cache'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fetchFrom(text: string, reference: string, platform = amd64) {
  const source = await openLocalImages(text, { folder, cache });
  try {
    return await fetchImage(source, reference, platform, cache);
  } finally {
    await source.close();
  }
}

async function editIndex(change: (index: { manifests: Record<string, unknown>[] }) => void): Promise<void> {
  const file = join(folder, 'img/index.json');
  const index = JSON.parse(await readFile(file, 'utf8')) as { manifests: Record<string, unknown>[] };
  change(index);
  await writeFile(file, JSON.stringify(index));
}

const blobFile = (image: WrittenImage, position: number) =>
  join(folder, 'img/blobs/sha256', digestHex(image.layers[position]!.digest));

describe('OCI layouts', () => {
  it('writes the same bytes for the same images', async () => {
    const images = () => [
      sampleImage('acme/app:1'),
      sampleImage('acme/app:1', 'one', { os: 'linux', architecture: 'arm64' }),
    ];
    const first = await writeOciLayout(join(folder, 'a'), images());
    const second = await writeOciLayout(join(folder, 'b'), images());
    expect(second).toEqual(first);
    expect(await readFile(join(folder, 'a/index.json'))).toEqual(await readFile(join(folder, 'b/index.json')));
    await runProgram('diff', ['-r', join(folder, 'a'), join(folder, 'b')]);
  });

  it.runIf(hasSkopeo)('writes a layout that skopeo reads, for each platform', async () => {
    const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1'), sampleImage('acme/app:1', 'one', arm)]);
    const name = `oci:${folder}/img:docker.io/acme/app:1`;
    for (const [os, architecture] of [
      ['linux', 'amd64'],
      ['linux', 'arm'],
    ]) {
      const told = JSON.parse(await skopeo('--override-os', os!, '--override-arch', architecture!, 'inspect', name)) as { Architecture: string; Layers: string[] }; // prettier-ignore
      expect(told.Architecture).toBe(architecture);
      expect(told.Layers).toHaveLength(2);
    }
    const image = await fetchFrom(`oci:img`, 'acme/app:1', parsePlatform('linux/arm/v7'));
    const raw = await skopeo('--override-arch', 'arm', 'inspect', '--raw', name);
    expect(image.index).toBe(
      `sha256:${(await runProgram('sha256sum', [], { input: raw })).stdout.toString().slice(0, 64)}`,
    );
  });

  it.runIf(hasSkopeo)('reads what skopeo wrote: layout, archive, with and without a name', async () => {
    const [written] = await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    await skopeo('copy', `oci:${folder}/img:docker.io/acme/app:1`, `oci:${folder}/plain`);
    await skopeo('copy', `oci:${folder}/img:docker.io/acme/app:1`, `oci-archive:${folder}/app.tar:1`);
    await runProgram('gzip', ['-k', join(folder, 'app.tar')]);
    for (const text of ['oci:plain', 'oci-archive:app.tar', 'oci-archive:app.tar:1', 'oci-archive:app.tar.gz']) {
      const image = await fetchFrom(text, 'acme/app:1');
      expect(image.manifest).toEqual(written!.manifest);
      expect(image.manifestOrigin).toBe('source');
      expect(image.reference).toBe('docker.io/acme/app:1');
      for (const layer of image.layers) {
        const sum = await runProgram('sha256sum', [layer.path]);
        expect(sum.stdout.toString().slice(0, 64)).toBe(digestHex(layer.blob.digest));
        const tar = await runProgram('gzip', ['-dc', layer.path]);
        const inner = await runProgram('sha256sum', [], { input: tar.stdout });
        expect(inner.stdout.toString().slice(0, 64)).toBe(digestHex(layer.diffId));
      }
    }
  });

  it('takes the image that bears the name among several, and lists the names otherwise', async () => {
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1'), sampleImage('acme/app:2', 'two')]);
    expect((await fetchFrom('oci:img', 'acme/app:2')).reference).toBe('docker.io/acme/app:2');
    expect((await fetchFrom('oci:img:acme/app:1', 'registry.example.com/other:9')).reference).toBe(
      'registry.example.com/other:9',
    );
    await expect(fetchFrom('oci:img', 'acme/app:3')).rejects.toThrow(
      /no single image "acme\/app:3"; it holds docker.io\/acme\/app:1, docker.io\/acme\/app:2/,
    );
    await expect(fetchFrom('oci:img:nope', 'acme/app:1')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });

  it('reads buildx names (a tag and io.containerd.image.name) and skips attestations', async () => {
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    await editIndex((index) => {
      index.manifests[0]!['annotations'] = { 'io.containerd.image.name': 'docker.io/acme/app:1', 'org.opencontainers.image.ref.name': '1' }; // prettier-ignore
      index.manifests.push({
        ...index.manifests[0],
        digest: `sha256:${'0'.repeat(64)}`,
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      });
    });
    expect((await fetchFrom('oci:img', 'acme/app:1')).layers).toHaveLength(2);
    expect((await fetchFrom('oci:img:acme/app:1', 'x:1')).layers).toHaveLength(2);
  });

  it('says which platforms there are when the wanted one is missing', async () => {
    const arm = { os: 'linux', architecture: 'arm', variant: 'v6' };
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1'), sampleImage('acme/app:1', 'one', arm)]);
    await expect(fetchFrom('oci:img', 'acme/app:1', parsePlatform('linux/riscv64'))).rejects.toThrow(
      /acme\/app:1 has no image for linux\/riscv64; it offers linux\/amd64, linux\/arm\/v6/,
    );
    expect((await fetchFrom('oci:img', 'acme/app:1', parsePlatform('linux/arm/v7'))).platform).toEqual(arm);
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    await expect(fetchFrom('oci:img', 'acme/app:1', parsePlatform('linux/arm64'))).rejects.toThrow(
      /it offers linux\/amd64$/m,
    );
  });

  it('believes the index, and warns, when the configuration names another platform', async () => {
    const arm = { os: 'linux', architecture: 'arm64' };
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1'), sampleImage('acme/app:1', 'one', arm)]);
    const [{ digest }] = (JSON.parse(await readFile(join(folder, 'img/index.json'), 'utf8')) as { manifests: [{ digest: string }] }).manifests; // prettier-ignore
    const text = (await readFile(join(folder, 'img/blobs/sha256', digest.slice(7)), 'utf8')).replace('"architecture":"arm64"', '"architecture":"s390x"'); // prettier-ignore
    const hex = createHash('sha256').update(text).digest('hex');
    await writeFile(join(folder, 'img/blobs/sha256', hex), text);
    await editIndex((index) => Object.assign(index.manifests[0]!, { digest: `sha256:${hex}`, size: text.length }));
    const warnings: string[] = [];
    const source = await openLocalImages('oci:img', { folder, cache });
    const progress = { ...silent, warn: (message: string) => warnings.push(message) };
    const image = await fetchImage(source, 'acme/app:1', parsePlatform('linux/s390x'), cache, { progress });
    expect(image.platform.architecture).toBe('s390x');
    expect(warnings).toEqual([
      expect.stringMatching(/the index says linux\/s390x, the configuration .* says linux\/arm64/),
    ]);
  });

  it('keeps a good blob in the cache when a descriptor lies about its size', async () => {
    const [image] = await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    await fetchFrom('oci:img', 'acme/app:1');
    const { digest, size } = image!.layers[0]!;
    await expect(hasBlob(cache, { ...image!.layers[0]!, size: size + 1 })).rejects.toMatchObject({
      code: 'SIZE_MISMATCH',
    });
    expect(await cache.has('blob', digestHex(digest))).toBe(true);
  });

  it('refuses a layer with wrong bytes, cut short, too long, or not there', async () => {
    const [image] = await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    const file = blobFile(image!, 1);
    const bytes = await readFile(file);
    const flipped = Buffer.from(bytes);
    flipped[20]! ^= 1;
    await writeFile(file, flipped);
    await expect(fetchFrom('oci:img', 'acme/app:1')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await writeFile(file, bytes.subarray(0, -1));
    await expect(fetchFrom('oci:img', 'acme/app:1')).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await writeFile(file, Buffer.concat([bytes, Buffer.from('x')]));
    await expect(fetchFrom('oci:img', 'acme/app:1')).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await rm(file);
    await expect(fetchFrom('oci:img', 'acme/app:1')).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    expect(await cache.has('blob', digestHex(image!.layers[1]!.digest))).toBe(false);
    await writeFile(file, bytes);
    expect((await fetchFrom('oci:img', 'acme/app:1')).layers).toHaveLength(2);
  });

  it('refuses a manifest whose bytes were changed', async () => {
    const [image] = await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    const file = join(folder, 'img/blobs/sha256', digestHex(image!.manifest.digest));
    await writeFile(file, (await readFile(file, 'utf8')).replace('"size":', '"siZe":'));
    await expect(fetchFrom('oci:img', 'acme/app:1')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('names what is wrong with a folder or an archive that is no layout', async () => {
    await expect(fetchFrom('oci:nowhere', 'x')).rejects.toThrow(/oci:nowhere is no OCI layout: it has no index.json/);
    await expect(fetchFrom('oci-archive:nowhere', 'x')).rejects.toThrow(/there is no such file/);
    await writeFile(join(folder, 'junk'), 'x'.repeat(2000));
    await expect(fetchFrom('oci-archive:junk', 'x')).rejects.toThrow(/it is not a tar archive/);
    await writeFile(join(folder, 'cut.gz'), gzipSync(Buffer.alloc(5000, 'x')).subarray(0, 20));
    await expect(fetchFrom('oci-archive:cut.gz', 'x')).rejects.toThrow(/its gzip data is damaged/);
    await expect(fetchFrom('docker-daemon:x', 'x')).rejects.toMatchObject({ code: 'BAD_IMAGE_SOURCE' });
  });
});
