import { describe, expect, it } from 'vitest';
import type { Digest } from '@boxship/model';
import { parseImageConfig } from './image-config.ts';
import { parseManifest } from './manifest.ts';
import { mediaTypes } from './media-type.ts';
import { resolveImage } from './resolve-image.ts';
import { parseReference } from './reference.ts';
import { sha256Digest, type FoundManifest } from './image-source.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const config = { mediaType: mediaTypes.ociConfig, digest, size: 10 };
const layer = { mediaType: mediaTypes.ociLayerGzip, digest, size: 20 };
const read = (value: unknown) => parseManifest(Buffer.from(JSON.stringify(value)), 'the manifest of acme/app:1');
const manifest = (more: object) => ({ schemaVersion: 2, config, layers: [layer], ...more });

describe('manifests', () => {
  it('reads OCI and docker manifests; without a media type it is OCI', () => {
    expect(read(manifest({})).mediaType).toBe(mediaTypes.ociManifest);
    expect(read(manifest({ mediaType: mediaTypes.dockerManifest })).mediaType).toBe(mediaTypes.dockerManifest);
    expect(read({ schemaVersion: 2, mediaType: mediaTypes.dockerManifestList, manifests: [] }).kind).toBe('index');
  });

  it.each<[string, unknown, RegExp]>([
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, /docker schema 1[^]*Push the image again/],
    ['a foreign layer', manifest({ layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }] }), /may not be distributed/],
    ['a non-distributable layer', manifest({ layers: [{ ...layer, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }] }), /may not be distributed/],
    ['an encrypted layer', manifest({ layers: [{ ...layer, mediaType: `${mediaTypes.ociLayerGzip}+encrypted` }] }), /Encrypted layers/],
    ['an artifact', manifest({ config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' } }), /not a container image/],
    ['both kinds at once', manifest({ manifests: [] }), /an index and a manifest at once/],
    ['a negative size', manifest({ layers: [{ ...layer, size: -1 }] }), /layers\[0\] has the size -1/],
    ['a fractional size', manifest({ layers: [{ ...layer, size: 1.5 }] }), /no count of bytes/],
    ['a size beyond numbers', manifest({ layers: [{ ...layer, size: 2 ** 60 }] }), /no count of bytes/],
    ['a size as text', manifest({ layers: [{ ...layer, size: '20' }] }), /no count of bytes/],
    ['an upper-case digest', manifest({ layers: [{ ...layer, digest: digest.toUpperCase() }] }), /which is none/],
    ['a digest that is a path', manifest({ layers: [{ ...layer, digest: 'sha256:../../etc/passwd' }] }), /which is none/],
    ['a sha512 digest', manifest({ layers: [{ ...layer, digest: `sha512:${'a'.repeat(128)}` }] }), /Only sha256/],
    ['no configuration', { schemaVersion: 2, layers: [] }, /has no "config"/],
    ['no layers', { schemaVersion: 2, config }, /"layers" is not a list/],
    ['a list', [], /not a JSON object/],
    ['another schema', manifest({ schemaVersion: 3 }), /schemaVersion is 3/],
    ['another media type', manifest({ mediaType: 'text/plain' }), /media type is "text\/plain"/],
    ['an index with a manifest\'s type', { schemaVersion: 2, mediaType: mediaTypes.ociManifest, manifests: [] }, /media type is/],
  ])('refuses %s', (_, value, message) => {
    expect(() => read(value)).toThrow(message);
    expect(() => read(value)).toThrow(/^the manifest of acme\/app:1 cannot be used/);
  }); // prettier-ignore

  it('refuses what is too large or no JSON', () => {
    expect(() => parseManifest(Buffer.alloc(5e6, ' '), 'x')).toThrow(/5000000 bytes, 4194304 are allowed/);
    expect(() => parseManifest(Buffer.from('{'), 'x')).toThrow(/not JSON/);
    expect(() => parseManifest(Buffer.from([0x7b, 0xff, 0x7d]), 'x')).toThrow(/not JSON/);
  });
});

describe('image configurations', () => {
  const good = { architecture: 'arm', os: 'linux', variant: 'v7', rootfs: { type: 'layers', diff_ids: [digest] } };
  const readConfig = (value: unknown, layers = 1) => parseImageConfig(Buffer.from(JSON.stringify(value)), layers, 'x');

  it('reads platform and diff_ids', () => {
    expect(readConfig(good)).toMatchObject({
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
      diffIds: [digest],
    });
    expect(readConfig({ ...good, rootfs: { type: 'layers', diff_ids: null } }, 0).diffIds).toEqual([]);
  });

  it.each<[string, unknown, RegExp]>([
    ['no architecture', { ...good, architecture: undefined }, /lacks "architecture"/],
    ['no system', { ...good, os: '' }, /lacks "os"/],
    ['no rootfs', { ...good, rootfs: undefined }, /"rootfs" is not of type "layers"/],
    ['a bad diff_id', { ...good, rootfs: { type: 'layers', diff_ids: ['x'] } }, /diff_ids\[0\]/],
    [
      'too few diff_ids',
      { ...good, rootfs: { type: 'layers', diff_ids: [] } },
      /0 diff_ids, the manifest has 1 layers/,
    ],
  ])('refuses %s', (_, value, message) => expect(() => readConfig(value)).toThrow(message));
});

describe('nested indexes', () => {
  const documents = new Map<Digest, FoundManifest>();
  const add = (value: object): { digest: Digest; size: number; mediaType: string } => {
    const bytes = Buffer.from(JSON.stringify(value));
    const document = parseManifest(bytes, 'x');
    const descriptor = { mediaType: document.mediaType, digest: sha256Digest(bytes), size: bytes.length };
    documents.set(descriptor.digest, { descriptor, bytes, document, origin: 'source' });
    return descriptor;
  };
  const index = (...manifests: object[]) => add({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  const resolve = (top: { digest: Digest }, platform = { os: 'linux', architecture: 'arm64' }) =>
    resolveImage(
      { name: 'x', find: ({ digest: wanted }) => Promise.resolve(documents.get(wanted ?? top.digest)!) },
      parseReference('acme/app:1'),
      platform,
    );

  it('are walked, whether or not they name a platform', async () => {
    const image = add({ ...manifest({}), annotations: { n: '1' } });
    const platform = { os: 'linux', architecture: 'arm64' };
    const inner = index({ ...image, platform });
    const top = index({ ...inner }, { ...add(manifest({})), platform: { os: 'linux', architecture: 'amd64' } });
    expect((await resolve(top)).manifest).toEqual(image);
    expect(await resolve(index({ ...inner, platform }))).toMatchObject({ manifest: image, index: expect.any(String) });
    await expect(resolve(top, { os: 'linux', architecture: 's390x' })).rejects.toThrow(
      /offers linux\/amd64, linux\/arm64/,
    );
  });

  it('are refused when they go too deep, and when an entry has the wrong size', async () => {
    let nested = index();
    for (let depth = 0; depth < 6; depth++) nested = index(nested);
    await expect(resolve(nested)).rejects.toThrow(/nests indexes more than 4 deep/);
    const image = add(manifest({}));
    const platform = { os: 'linux', architecture: 'arm64' };
    await expect(resolve(index({ ...image, size: image.size + 1, platform }))).rejects.toMatchObject({
      code: 'SIZE_MISMATCH',
    });
  });
});
