import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { digestHex, type Platform } from '@boxship/model';
import { fetchImage, type FetchedImage } from '../fetch-image.ts';
import { mediaTypes } from '../media-type.ts';
import { writeOciLayout, type WrittenImage } from '../oci-layout-writer.ts';
import { registrySource, type RegistryOptions } from '../registry/registry-source.ts';
import { sampleImage, tarOf } from './sample-image.ts';
import { startTestRegistry, type SeenRequest, type TestRegistry, type TestRegistryOptions } from './test-registry.ts';

export const amd64: Platform = { os: 'linux', architecture: 'amd64' };

/** A new folder, cache and image for each test of a file, and registries that serve it; all gone after the test. */
export function serveSampleImage() {
  let folder = '';
  let cache: Cache;
  let image: WrittenImage;
  const servers: TestRegistry[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'boxship-oci-'));
    cache = openCache(join(folder, 'cache'));
    const big = { blob: [tarOf([{ name: 'big', content: randomBytes(300_000) }])], mediaType: mediaTypes.ociLayerTar };
    const sample = sampleImage('acme/app:1');
    const arm = sampleImage('acme/app:1', 'one', { os: 'linux', architecture: 'arm64' });
    const images = [{ ...sample, layers: [...sample.layers, big] }, arm];
    image = (await writeOciLayout(join(folder, 'img'), images))[0]!;
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  /** Nothing of the machine that the tests run on counts: no proxy, no login. */
  const env = (more: Record<string, string> = {}) => ({ HOME: folder, PATH: process.env['PATH']!, ...more });
  return {
    get folder() {
      return folder;
    },
    get cache() {
      return cache;
    },
    get image() {
      return image;
    },
    /** The third layer: 300 kB, not compressed. */
    get bigBlob() {
      return image.layers[2]!;
    },
    env,
    async start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
      const registry = await startTestRegistry(options);
      servers.push(registry);
      await registry.addLayout(join(folder, 'img'), 'acme/app');
      return registry;
    },
    async fetchFrom(registry: TestRegistry, options: RegistryOptions = {}, name = `${registry.host}/acme/app:1`) {
      const source = registrySource({ env: env(), backoff: 1, attempts: 4, ...options });
      try {
        return await fetchImage(source, name, amd64, cache);
      } finally {
        await source.close();
      }
    },
    async logIn(key: string, entry: Record<string, string>): Promise<void> {
      await mkdir(join(folder, '.docker'), { recursive: true });
      await writeFile(join(folder, '.docker/config.json'), JSON.stringify({ auths: { [key]: entry } }));
    },
    bigBlobRequests: (registry: TestRegistry): SeenRequest[] =>
      registry.requests.filter(({ path }) => path.endsWith(image.layers[2]!.digest)),
    /** The image is the one that is served, and its layers are in the cache byte by byte. */
    async expectWhole(fetched: FetchedImage): Promise<void> {
      expect(fetched.manifest).toEqual(image.manifest);
      expect(fetched.index).toBe(image.top.digest);
      for (const { path, blob } of fetched.layers) {
        const sum = await runProgram('sha256sum', [path]);
        expect(sum.stdout.toString().slice(0, 64)).toBe(digestHex(blob.digest));
      }
    },
  };
}
