import { open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, it, vi } from 'vitest';
import { openCache, runProgram } from '@boxship/host';
import { digestHex } from '@boxship/model';
import { fetchImage } from '../fetch-image.ts';
import { amd64, serveSampleImage } from '../testing/served-image.ts';
import { registrySource } from './registry-source.ts';

const served = serveSampleImage();

describe('downloads', () => {
  it('asks nothing when the cache has all of a pinned image, and says offline what is missing', async () => {
    const registry = await served.start();
    const pinned = { index: served.image.top.digest, manifest: served.image.manifest.digest };
    const source = registrySource({ env: served.env(), backoff: 1 });
    const name = `${registry.host}/acme/app:1`;
    await expect(fetchImage(source, name, amd64, served.cache, { pinned, offline: true })).rejects.toMatchObject({ code: 'OFFLINE_MISSING' }); // prettier-ignore
    await served.expectWhole(await fetchImage(source, name, amd64, served.cache, { pinned }));
    registry.requests.length = 0;
    await served.expectWhole(await fetchImage(source, name, amd64, served.cache, { pinned }));
    await served.expectWhole(await fetchImage(source, name, amd64, served.cache, { pinned, offline: true }));
    expect(registry.requests).toEqual([]);
    await served.cache.remove('blob', digestHex(served.bigBlob.digest));
    await expect(fetchImage(source, name, amd64, served.cache, { pinned, offline: true })).rejects.toThrow(
      new RegExp(`lacks 1 of 4 blobs .*${served.bigBlob.digest} \\(${served.bigBlob.size} bytes\\)`),
    );
    await source.close();
  });

  it('goes on where a broken connection ended, and where a failed run gave up', async () => {
    const registry = await served.start();
    let cuts = 0;
    registry.setFaults((path) =>
      path.endsWith(served.bigBlob.digest) && cuts++ < 2 ? { kind: 'cut', after: 100_000 } : undefined,
    );
    await served.expectWhole(await served.fetchFrom(registry));
    const ranges = served.bigBlobRequests(registry).map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges).toHaveLength(3);
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);

    await rm(served.cache.root, { recursive: true });
    registry.setFaults((path) => (path.endsWith(served.bigBlob.digest) ? { kind: 'cut', after: 50_000 } : undefined));
    await expect(served.fetchFrom(registry, { attempts: 1 })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    registry.setFaults(() => undefined);
    registry.requests.length = 0;
    await served.expectWhole(await served.fetchFrom(registry));
    expect(served.bigBlobRequests(registry)[0]!.headers.range).toMatch(/^bytes=[1-9]/);
  });

  it('manages with a registry that takes no notice of Range', async () => {
    const registry = await served.start();
    let asked = 0;
    registry.setFaults((path) => {
      if (!path.endsWith(served.bigBlob.digest)) return undefined;
      return asked++ === 0 ? { kind: 'cut', after: 100_000 } : { kind: 'noRange' };
    });
    await served.expectWhole(await served.fetchFrom(registry));
  });

  it('refuses wrong bytes and blobs longer than their descriptor; the cache stays clean', async () => {
    const registry = await served.start();
    for (const [kind, code] of [
      ['wrongBytes', 'DIGEST_MISMATCH'],
      ['tooLong', 'SIZE_MISMATCH'],
    ] as const) {
      registry.setFaults((path) => (path.endsWith(served.bigBlob.digest) ? { kind } : undefined));
      await expect(served.fetchFrom(registry)).rejects.toMatchObject({ code });
      expect(await served.cache.has('blob', digestHex(served.bigBlob.digest))).toBe(false);
    }
    registry.setFaults((path) => (path.endsWith('/manifests/1') ? { kind: 'wrongBytes' } : undefined));
    await expect(served.fetchFrom(registry)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    registry.setFaults(() => undefined);
    await served.expectWhole(await served.fetchFrom(registry));
  });

  it('serves two runs at once on one cache, in one process and in two', async () => {
    const registry = await served.start();
    const caches = [openCache(served.cache.root), openCache(served.cache.root)];
    const source = registrySource({ env: served.env(), backoff: 1 });
    const both = await Promise.all(caches.map((one) => fetchImage(source, `${registry.host}/acme/app:1`, amd64, one)));
    for (const fetched of both) await served.expectWhole(fetched);
    expect(served.bigBlobRequests(registry)).toHaveLength(1);

    await rm(served.cache.root, { recursive: true });
    const program = await buildProgram();
    const run = () => runProgram(process.execPath, [program, `${registry.host}/acme/app:1`, served.cache.root]);
    await Promise.all([run(), run()]);
    await served.expectWhole(await fetchImage(source, `${registry.host}/acme/app:1`, amd64, served.cache, { offline: true, pinned: { index: served.image.top.digest, manifest: served.image.manifest.digest } })); // prettier-ignore
    expect((await readdir(served.cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'))).toEqual(
      [],
    );
    await source.close();
  });

  it('takes up the download of a run that was killed with SIGKILL', async () => {
    const registry = await served.start();
    const program = await buildProgram();
    const run = (killAfter: number) => runProgram(process.execPath, [program, `${registry.host}/acme/app:1`, served.cache.root, String(killAfter)]); // prettier-ignore
    await expect(run(100_000)).rejects.toThrow(/SIGKILL/);
    expect(await served.cache.has('blob', digestHex(served.bigBlob.digest))).toBe(false);
    registry.requests.length = 0;
    await run(Infinity);
    expect(served.bigBlobRequests(registry)[0]!.headers.range).toMatch(/^bytes=[1-9]/);
    await served.expectWhole(await served.fetchFrom(registry));
    expect((await readdir(served.cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'))).toEqual(
      [],
    );
  });

  it('begins anew when what a killed run left is damaged', async () => {
    const registry = await served.start();
    registry.setFaults((path) => (path.endsWith(served.bigBlob.digest) ? { kind: 'cut', after: 50_000 } : undefined));
    await expect(served.fetchFrom(registry, { attempts: 1 })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    const [left] = (await readdir(served.cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'));
    await writeFile(join(served.cache.root, left!), 'something else');
    registry.setFaults(() => undefined);
    await served.expectWhole(await served.fetchFrom(registry));
  });

  it('says that the disk is full, and the next run works', async () => {
    const registry = await served.start();
    const probe = await open(join(served.folder, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(probe) as { write: (...args: unknown[]) => unknown };
    await probe.close();
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' });
    const spy = vi.spyOn(prototype, 'write').mockRejectedValue(full);
    try {
      await expect(served.fetchFrom(registry)).rejects.toThrow(
        /cannot write \d+ bytes to the cache .*: the disk is full/,
      );
    } finally {
      spy.mockRestore();
    }
    await served.expectWhole(await served.fetchFrom(registry));
  });

  it('drops a cached blob of the wrong size and fetches it anew', async () => {
    const registry = await served.start();
    await served.fetchFrom(registry);
    await writeFile(served.cache.path('blob', digestHex(served.bigBlob.digest)), 'short');
    await served.expectWhole(await served.fetchFrom(registry));
  });

  it('goes on with a shared blob when the image that fetched it first was stopped', async () => {
    const registry = await served.start();
    const source = registrySource({ env: served.env(), backoff: 1 });
    const stop = new AbortController();
    const name = `${registry.host}/acme/app:1`;
    let second: ReturnType<typeof fetchImage> | undefined;
    registry.setFaults((path) => {
      if (path.endsWith(served.bigBlob.digest) && !second) {
        second = fetchImage(source, name, amd64, served.cache);
        setTimeout(() => stop.abort(), 50);
        return { kind: 'stall' };
      }
      return undefined;
    });
    const first = fetchImage(source, name, amd64, served.cache, { signal: stop.signal });
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
    await served.expectWhole(await second!);
    await source.close();
  });

  it('stops when it is told to', async () => {
    const registry = await served.start();
    const stop = new AbortController();
    registry.setFaults((path) => {
      if (path.endsWith(served.bigBlob.digest)) stop.abort();
      return undefined;
    });
    const source = registrySource({ env: served.env(), backoff: 1 });
    const fetching = fetchImage(source, `${registry.host}/acme/app:1`, amd64, served.cache, { signal: stop.signal });
    await expect(fetching).rejects.toMatchObject({ name: 'AbortError' });
    await source.close();
  });
});

/** The library as a program of its own: `fetch.mjs REFERENCE CACHE [BYTES]`, which kills itself after so many bytes. */
async function buildProgram(): Promise<string> {
  const outfile = join(served.folder, 'fetch.mjs');
  const index = fileURLToPath(new URL('../index.ts', import.meta.url));
  const contents = `
    import { fetchImage, registrySource } from ${JSON.stringify(index)};
    import { openCache } from '@boxship/host';
    const [reference, root, killAfter = 'Infinity'] = process.argv.slice(2);
    let done = 0;
    const advance = (count) => { done += count; if (done > Number(killAfter)) process.kill(process.pid, 'SIGKILL'); };
    const progress = { start: () => ({ advance, end() {} }), note() {}, warn() {} };
    const source = registrySource({ env: { HOME: '/nowhere' }, backoff: 1 });
    await fetchImage(source, reference, { os: 'linux', architecture: 'amd64' }, openCache(root), { progress });
    await source.close();`;
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
  const resolveDir = fileURLToPath(new URL('..', import.meta.url));
  await build({ stdin: { contents, resolveDir }, bundle: true, platform: 'node', format: 'esm', banner, outfile, logLevel: 'error' }); // prettier-ignore
  return outfile;
}
