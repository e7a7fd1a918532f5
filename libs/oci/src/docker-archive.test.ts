import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { digestHex, type Platform } from '@boxship/model';
import { fetchImage, mediaTypes, openLocalImages, writeOciLayout } from './index.ts';
import { sampleImage, tarHeader, tarOf, type TarMember } from './testing/sample-image.ts';
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

async function fetchFrom(text: string, reference = 'acme/app:1') {
  const source = await openLocalImages(text, { folder, cache });
  try {
    return await fetchImage(source, reference, amd64, cache);
  } finally {
    await source.close();
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const base = tarOf([{ name: 'bin/base', content: 'base' }]);
const app = tarOf([{ name: 'bin/app', content: 'app' }]);

/** The image configuration over these uncompressed layers. */
function configOf(...layers: Buffer[]): Buffer {
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  return Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } })); // prettier-ignore
}

/** What docker 1.10 to 24 saves: a folder per layer, `VERSION` and `json` files, a layer that occurs twice as a link. */
function legacyArchive(tags: string[] = ['acme/app:1']): TarMember[] {
  const [one, two, three] = ['1'.repeat(64), '2'.repeat(64), '3'.repeat(64)] as const;
  const config = configOf(base, app, base);
  const folderOf = (id: string, layer: TarMember) => [
    { name: `${id}/`, type: '5' },
    { name: `${id}/VERSION`, content: '1.0' },
    { name: `${id}/json`, content: '{}' },
    layer,
  ];
  const manifest = [{ Config: `${sha256(config)}.json`, RepoTags: tags, Layers: [one, two, three].map((id) => `${id}/layer.tar`) }]; // prettier-ignore
  return [
    ...folderOf(one, { name: `${one}/layer.tar`, content: base }),
    ...folderOf(two, { name: `${two}/layer.tar`, content: app }),
    ...folderOf(three, { name: `${three}/layer.tar`, link: `../${one}/layer.tar` }),
    { name: `${sha256(config)}.json`, content: config },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
    { name: 'repositories', content: '{}' },
  ];
}

const save = (members: readonly TarMember[], name = 'app.tar') => writeFile(join(folder, name), tarOf(members));
const replace = (members: TarMember[], name: RegExp, by: Partial<TarMember>) =>
  members.map((member) => (name.test(member.name) ? { ...member, ...by } : member));

describe('docker archives', () => {
  it('reads what docker before 25 saved: linked layers, a made manifest, the same each time', async () => {
    await save(legacyArchive());
    const image = await fetchFrom('docker-archive:app.tar');
    expect(image.manifestOrigin).toBe('synthesized');
    expect(image.layers.map(({ blob }) => digestHex(blob.digest))).toEqual([base, app, base].map(sha256));
    expect(image.layers.every(({ blob, diffId }) => blob.digest === diffId)).toBe(true);
    expect(await readFile(image.layers[2]!.path)).toEqual(base);
    expect(image.config.digest).toBe(`sha256:${sha256(configOf(base, app, base))}`);
    await writeFile(join(folder, 'again.tar.gz'), gzipSync(tarOf(legacyArchive())));
    expect((await fetchFrom('docker-archive:again.tar.gz')).manifest).toEqual(image.manifest);
  });

  it.runIf(hasSkopeo)('gives skopeo, which reads the same archive, the same layers and configuration', async () => {
    await save(legacyArchive());
    const image = await fetchFrom('docker-archive:app.tar');
    await skopeo('copy', `docker-archive:${folder}/app.tar`, `dir:${folder}/dir`);
    const manifest = JSON.parse(await readFile(join(folder, 'dir/manifest.json'), 'utf8')) as {
      config: { digest: string };
    };
    expect(manifest.config.digest).toBe(image.config.digest);
    const told = JSON.parse(await skopeo('inspect', '--config', `docker-archive:${folder}/app.tar`)) as { rootfs: { diff_ids: string[] } }; // prettier-ignore
    expect(told.rootfs.diff_ids).toEqual(image.layers.map(({ diffId }) => diffId));
  });

  it.runIf(hasSkopeo)('reads what skopeo writes, several images in one archive too', async () => {
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1'), sampleImage('acme/app:2', 'two')]);
    await skopeo('copy', `oci:${folder}/img:docker.io/acme/app:1`, `docker-archive:${folder}/app.tar:acme/app:1`);
    const image = await fetchFrom('docker-archive:app.tar:acme/app:1');
    expect(image.manifestOrigin).toBe('synthesized');
    for (const { path, diffId } of image.layers) {
      expect((await runProgram('sha256sum', [path])).stdout.toString().slice(0, 64)).toBe(digestHex(diffId));
    }
    expect((await fetchFrom('docker-archive:app.tar:@0')).manifest).toEqual(image.manifest);
    await expect(fetchFrom('docker-archive:app.tar:acme/app:2')).rejects.toThrow(/it holds .*acme\/app:1/);
  });

  it('reads what real dockers saved, and finds the same image in each', async () => {
    const saved = (name: string) =>
      `docker-archive:${fileURLToPath(new URL(`testing/docker-save/${name}`, import.meta.url))}`;
    const old = await fetchFrom(saved('docker-20.10.tar.gz'));
    const new28 = await fetchFrom(saved('docker-28.5.tar.gz'));
    const kept = await fetchFrom(saved('docker-28.5-containerd-store.tar.gz'));
    // docker 28 makes up a manifest, too, from its classic store: ours for docker 20.10 has the same digest
    expect(old.manifest).toEqual(new28.manifest);
    expect([old.manifestOrigin, new28.manifestOrigin, kept.manifestOrigin]).toEqual([
      'synthesized',
      'synthesized',
      'source',
    ]);
    expect(kept.layers.every(({ blob }) => blob.mediaType === mediaTypes.ociLayerGzip)).toBe(true);
    for (const image of [old, new28]) {
      expect(image.config).toEqual(kept.config);
      expect(image.layers.map(({ diffId }) => diffId)).toEqual(kept.layers.map(({ diffId }) => diffId));
    }
    const second = await fetchFrom(saved('docker-28.5.tar.gz'), 'acme/app:2');
    expect(second.manifest).toEqual((await fetchFrom(saved('docker-20.10.tar.gz'), 'acme/app:2')).manifest);
    expect(second.manifest).not.toEqual(old.manifest);
  });

  it('reads what docker 25 and newer save, as the OCI layout that it is', async () => {
    const [written] = await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    await writeFile(join(folder, 'img/manifest.json'), '[]');
    await runProgram('tar', ['-C', join(folder, 'img'), '-cf', join(folder, 'app.tar'), '.']);
    const image = await fetchFrom('docker-archive:app.tar');
    expect(image.manifest).toEqual(written!.manifest);
    expect(image.manifestOrigin).toBe('source');
  });

  it('brings in layers of a pinned image whose manifest is in the cache already', async () => {
    await save(legacyArchive());
    const image = await fetchFrom('docker-archive:app.tar');
    await cache.remove('blob', digestHex(image.layers[1]!.blob.digest));
    const source = await openLocalImages('docker-archive:app.tar', { folder, cache });
    const pinned = { manifest: image.manifest.digest, origin: image.manifestOrigin };
    expect(await fetchImage(source, 'acme/app:1', amd64, cache, { pinned })).toEqual(image);
    await source.close();
  });

  it('reads gzip layers, as crane and bazel store them', async () => {
    const config = configOf(app);
    const zipped = gzipSync(app);
    const layer = `${sha256(zipped)}.tar.gz`;
    await save([
      { name: `sha256:${sha256(config)}`, content: config },
      { name: layer, content: zipped },
      { name: 'manifest.json', content: JSON.stringify([{ Config: `sha256:${sha256(config)}`, RepoTags: null, Layers: [layer] }]) },
    ]); // prettier-ignore
    const image = await fetchFrom('docker-archive:app.tar');
    expect(image.layers[0]!.blob.digest).toBe(`sha256:${sha256(zipped)}`);
    expect(image.layers[0]!.diffId).toBe(`sha256:${sha256(app)}`);
  });

  it('refuses a changed layer, a changed configuration and a wrong count of layers', async () => {
    await save(replace(legacyArchive(), /^2.*layer\.tar$/, { content: base }));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await save(replace(legacyArchive(), /^[0-9a-f]+\.json$/, { content: configOf(base) }));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    const config = configOf(base, app);
    await save([
      { name: 'config.json', content: config },
      { name: 'a.tar', content: base },
      { name: 'manifest.json', content: JSON.stringify([{ Config: 'config.json', RepoTags: [], Layers: ['a.tar'] }]) },
    ]);
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/2 diff_ids, the manifest has 1 layers/);
  });

  it('refuses loops of links, links to nothing, and links that leave the archive', async () => {
    const third = /^3.*layer\.tar$/;
    await save(replace(legacyArchive(), third, { link: 'layer.tar' }));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/is a loop of links/);
    for (const link of ['../9/layer.tar', '/etc/hostname', '../../../../../etc/hostname']) {
      await save(replace(legacyArchive(), third, { link }));
      await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/is a link to nothing in the archive/);
    }
  });

  it('is not harmed by hostile member names, and finds the later of two members', async () => {
    const hostile = ['../../etc/passwd', '/etc/passwd', 'a/../../b', '', '.', '__proto__', 'constructor'];
    await save([
      ...hostile.map((name) => ({ name, content: 'x' })),
      { name: 'manifest.json', content: 'not this one' },
      ...legacyArchive(),
    ]);
    expect((await fetchFrom('docker-archive:app.tar')).layers).toHaveLength(3);
    const config = configOf();
    await save([{ name: 'manifest.json', content: JSON.stringify([{ Config: '../../../etc/passwd', Layers: [] }]) }, { name: 'c', content: config }]); // prettier-ignore
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/lacks "..\/..\/..\/etc\/passwd"/);
  });

  it('refuses archives that are cut off or damaged', async () => {
    const whole = tarOf(legacyArchive());
    await writeFile(join(folder, 'app.tar'), whole.subarray(0, 512 * 6 + 100));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toMatchObject({ code: 'BAD_ARCHIVE' });
    const damaged = Buffer.from(whole);
    damaged[512 + 3] = 0x41; // inside the second header
    await writeFile(join(folder, 'app.tar'), damaged);
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/no tar header at byte 512/);
    const huge = tarHeader('manifest.json', 2 ** 31, '0');
    await writeFile(join(folder, 'app.tar'), Buffer.concat([huge, Buffer.alloc(4096)]));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/a member of 2147483648 bytes .* it is cut off/);
  });

  it('reads long names of pax and GNU archives, as tar writes them', async () => {
    const name = `${'long/'.repeat(30)}${'x'.repeat(120)}.tar`;
    await writeOciLayout(join(folder, 'img'), [sampleImage('acme/app:1')]);
    const config = configOf(app);
    await runProgram('mkdir', ['-p', join(folder, 'in', name, '..')]);
    await writeFile(join(folder, 'in', name), app);
    await writeFile(join(folder, 'in/config.json'), config);
    await writeFile(
      join(folder, 'in/manifest.json'),
      JSON.stringify([{ Config: 'config.json', RepoTags: [], Layers: [name] }]),
    );
    for (const format of ['pax', 'gnu']) {
      await runProgram('tar', [
        '-C',
        join(folder, 'in'),
        `--format=${format}`,
        '-cf',
        join(folder, `${format}.tar`),
        '.',
      ]);
      expect((await fetchFrom(`docker-archive:${format}.tar`)).layers).toHaveLength(1);
    }
  });

  it('says what an archive is that it cannot read', async () => {
    await save([{ name: 'bin/sh', content: 'x' }]);
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/it has no manifest.json[^]*docker export/);
    await save([{ name: 'repositories', content: '{}' }]);
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/docker older than 1.10/);
    await writeFile(join(folder, 'app.tar'), Buffer.from('28b52ffd000000000000', 'hex'));
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/zstd -d/);
    await save([{ name: 'manifest.json', content: '[{"Config": 1}]' }]);
    await expect(fetchFrom('docker-archive:app.tar')).rejects.toThrow(/manifest.json\[0\] has no "Config"/);
  });
});
