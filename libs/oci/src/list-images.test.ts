import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache, type Cache } from '@boxship/host';
import type { UserError } from '@boxship/model';
import { listLocalImages, writeOciLayout } from './index.ts';
import { sampleImage, tarOf } from './testing/sample-image.ts';
import { findSkopeo, skopeo } from './testing/skopeo.ts';

const hasSkopeo = await findSkopeo();
let folder: string;
let cache: Cache;
let layout: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-oci-list-'));
  cache = openCache(join(folder, 'cache'));
  layout = join(folder, 'app');
  await writeTwoPlatforms(layout);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An image for two platforms, under one name. */
async function writeTwoPlatforms(target: string): Promise<void> {
  const arm64 = { os: 'linux', architecture: 'arm64' };
  await writeOciLayout(target, [sampleImage('acme/app:1'), sampleImage('acme/app:1', 'two', arm64)]);
}

const list = (path: string) => listLocalImages(path, cache);

describe.runIf(hasSkopeo)('listLocalImages', () => {
  it('lists each platform of a layout with what skopeo says of it', async () => {
    const { kind, images } = (await list(layout))!;
    expect(kind).toBe('oci');
    const told = JSON.parse(await skopeo('inspect', '--override-arch', 'amd64', `oci:${layout}`)) as Told;
    expect(images.find(({ platform }) => platform === 'linux/amd64')).toMatchObject({
      platform: `${told.Os}/${told.Architecture}`,
      layers: told.Layers.length,
    });
    const raw = await skopeo('inspect', '--raw', `oci:${layout}`);
    const { manifests } = JSON.parse(raw) as { manifests: { digest: string }[] };
    expect(images.map(({ manifest }) => manifest)).toEqual(manifests.map(({ digest }) => digest));
  });

  it.each(['docker-archive', 'oci-archive'] as const)(
    'lists a %s as skopeo writes it, plain and gzipped',
    async (kind) => {
      const path = join(folder, `${kind}.tar`);
      await skopeo('copy', '-q', `oci:${layout}`, `${kind}:${path}:registry.example.com/acme/app:1`);
      const found = (await list(path))!;
      expect(found.kind).toBe(kind);
      expect(found.images).toHaveLength(1);
      const config = await skopeo('inspect', '--config', '--raw', `${kind}:${path}`);
      expect(found.images[0]).toMatchObject({
        id: `sha256:${createHash('sha256').update(config).digest('hex')}`,
        platform: 'linux/amd64',
        layers: 2,
      });
      expect(found.images[0]!.names.join()).toContain('app:1');
      await writeFile(`${path}.gz`, gzipSync(await readFile(path), { level: 1 }));
      expect(await list(`${path}.gz`)).toEqual(found);
    },
  );

  it('says of a platform whose documents are not there that they are missing', async () => {
    const part = join(folder, 'part');
    await writeTwoPlatforms(part);
    const gone = (await list(part))!.images.find(({ platform }) => platform === 'linux/amd64')!.manifest!;
    await unlink(join(part, 'blobs/sha256', gone.slice(7)));
    const { images } = (await list(part))!;
    expect(images.find(({ manifest }) => manifest === gone)).toMatchObject({ missing: true, platform: 'linux/amd64', layers: 0 });
  }); // prettier-ignore
});

describe('what is no list of images', () => {
  it('is left to others: another tar, a folder, noise', async () => {
    await writeFile(join(folder, 'other.tar'), tarOf([{ name: 'a', content: 'b' }]));
    await writeFile(join(folder, 'noise'), Buffer.alloc(4096, 1));
    for (const path of ['other.tar', 'noise', '.']) expect(await list(join(folder, path))).toBeUndefined();
  });

  it('is an error when it says it is one, and is damaged', async () => {
    const marker = { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' };
    await writeFile(join(folder, 'no-index.tar'), tarOf([marker]));
    await writeFile(join(folder, 'bad.tar'), tarOf([{ name: 'manifest.json', content: '[{"Config":"x"}]' }]));
    for (const [name, code] of [['no-index.tar', 'BAD_LAYOUT'], ['bad.tar', 'BAD_ARCHIVE']] as const) {
      const error = await list(join(folder, name)).catch((thrown: unknown) => thrown);
      expect((error as UserError).code).toBe(code);
    }
  }); // prettier-ignore
});

interface Told {
  readonly Architecture: string;
  readonly Os: string;
  readonly Layers: readonly string[];
}
