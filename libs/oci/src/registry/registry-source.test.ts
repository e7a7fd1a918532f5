import { createServer } from 'node:http';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openCache, runProgram, type Cache } from '@boxship/host';
import { digestHex, type Platform, type UserError } from '@boxship/model';
import { fetchImage, mediaTypes, writeOciLayout, type RegistryOptions, type WrittenImage } from '../index.ts';
import { findSkopeo, skopeo } from '../testing/skopeo.ts';
import { sampleImage, tarOf } from '../testing/sample-image.ts';
import { startTestRegistry, type TestRegistry, type TestRegistryOptions } from '../testing/test-registry.ts';
import { registrySource } from './registry-source.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const hasSkopeo = await findSkopeo();
let folder: string;
let cache: Cache;
let image: WrittenImage;
const servers: TestRegistry[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-oci-'));
  cache = openCache(join(folder, 'cache'));
  const big = { blob: [tarOf([{ name: 'big', content: randomBytes(300_000) }])], mediaType: mediaTypes.ociLayerTar };
  const sample = sampleImage('acme/app:1');
  const arm = sampleImage('acme/app:1', 'one', { os: 'linux', architecture: 'arm64' });
  [image] = (await writeOciLayout(join(folder, 'img'), [{ ...sample, layers: [...sample.layers, big] }, arm])) as [WrittenImage]; // prettier-ignore
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await startTestRegistry(options);
  servers.push(registry);
  await registry.addLayout(join(folder, 'img'), 'acme/app');
  return registry;
}

/** Nothing of the machine that the tests run on counts: no proxy, no login. */
function env(more: Record<string, string> = {}): Record<string, string> {
  return { HOME: folder, PATH: process.env['PATH']!, ...more };
}

async function fetchFrom(registry: TestRegistry, options: RegistryOptions = {}, name = `${registry.host}/acme/app:1`) {
  const source = registrySource({ env: env(), backoff: 1, attempts: 4, ...options });
  try {
    return await fetchImage(source, name, amd64, cache);
  } finally {
    await source.close();
  }
}

async function logIn(key: string, entry: Record<string, string>): Promise<void> {
  await mkdir(join(folder, '.docker'), { recursive: true });
  await writeFile(join(folder, '.docker/config.json'), JSON.stringify({ auths: { [key]: entry } }));
}

const auth = (user: string, password: string) => ({ auth: Buffer.from(`${user}:${password}`).toString('base64') });
const bigBlob = () => image.layers[2]!;
const blobRequests = (registry: TestRegistry) =>
  registry.requests.filter(({ path }) => path.endsWith(bigBlob().digest));

async function expectWhole(fetched: Awaited<ReturnType<typeof fetchFrom>>): Promise<void> {
  expect(fetched.manifest).toEqual(image.manifest);
  expect(fetched.index).toBe(image.top.digest);
  for (const { path, blob } of fetched.layers) {
    const sum = await runProgram('sha256sum', [path]);
    expect(sum.stdout.toString().slice(0, 64)).toBe(digestHex(blob.digest));
  }
}

describe('registries', () => {
  it.runIf(hasSkopeo)('agrees with skopeo about what a registry serves, with each kind of login', async () => {
    for (const kind of ['none', 'basic', 'bearer'] as const) {
      const registry = await start({ auth: kind });
      await logIn(registry.host, auth('user', 'secret'));
      const login = kind === 'none' ? [] : ['--src-creds', 'user:secret'];
      const platform = ['--override-os', 'linux', '--override-arch', 'amd64'];
      const from = [`docker://${registry.host}/acme/app:1`, `dir:${folder}/copy-${kind}`];
      await skopeo(...platform, 'copy', '--src-tls-verify=false', ...login, ...from);
      const fetched = await fetchFrom(registry);
      await expectWhole(fetched);
      const manifest = await readFile(join(folder, `copy-${kind}/manifest.json`));
      expect(Buffer.from(fetched.manifestBytes)).toEqual(manifest);
      await rm(cache.root, { recursive: true });
    }
  });

  it('asks nothing when the cache has all of a pinned image, and says offline what is missing', async () => {
    const registry = await start();
    const pinned = { index: image.top.digest, manifest: image.manifest.digest };
    const source = registrySource({ env: env(), backoff: 1 });
    const name = `${registry.host}/acme/app:1`;
    await expect(fetchImage(source, name, amd64, cache, { pinned, offline: true })).rejects.toMatchObject({ code: 'OFFLINE_MISSING' }); // prettier-ignore
    await expectWhole(await fetchImage(source, name, amd64, cache, { pinned }));
    registry.requests.length = 0;
    await expectWhole(await fetchImage(source, name, amd64, cache, { pinned }));
    await expectWhole(await fetchImage(source, name, amd64, cache, { pinned, offline: true }));
    expect(registry.requests).toEqual([]);
    await cache.remove('blob', digestHex(bigBlob().digest));
    await expect(fetchImage(source, name, amd64, cache, { pinned, offline: true })).rejects.toThrow(
      new RegExp(`lacks 1 of 4 blobs .*${bigBlob().digest} \\(${bigBlob().size} bytes\\)`),
    );
    await source.close();
  });

  it('goes on where a broken connection ended, and after a killed run too', async () => {
    const registry = await start();
    let cuts = 0;
    registry.setFaults((path) =>
      path.endsWith(bigBlob().digest) && cuts++ < 2 ? { kind: 'cut', after: 100_000 } : undefined,
    );
    await expectWhole(await fetchFrom(registry));
    const ranges = blobRequests(registry).map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges).toHaveLength(3);
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);

    await rm(cache.root, { recursive: true });
    registry.setFaults((path) => (path.endsWith(bigBlob().digest) ? { kind: 'cut', after: 50_000 } : undefined));
    await expect(fetchFrom(registry, { attempts: 1 })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    registry.setFaults(() => undefined);
    registry.requests.length = 0;
    await expectWhole(await fetchFrom(registry));
    expect(blobRequests(registry)[0]!.headers.range).toMatch(/^bytes=[1-9]/);
  });

  it('manages with a registry that takes no notice of Range', async () => {
    const registry = await start();
    let asked = 0;
    registry.setFaults((path) => {
      if (!path.endsWith(bigBlob().digest)) return undefined;
      return asked++ === 0 ? { kind: 'cut', after: 100_000 } : { kind: 'noRange' };
    });
    await expectWhole(await fetchFrom(registry));
  });

  it('refuses wrong bytes and blobs longer than their descriptor; the cache stays clean', async () => {
    const registry = await start();
    for (const [kind, code] of [
      ['wrongBytes', 'DIGEST_MISMATCH'],
      ['tooLong', 'SIZE_MISMATCH'],
    ] as const) {
      registry.setFaults((path) => (path.endsWith(bigBlob().digest) ? { kind } : undefined));
      await expect(fetchFrom(registry)).rejects.toMatchObject({ code });
      expect(await cache.has('blob', digestHex(bigBlob().digest))).toBe(false);
    }
    registry.setFaults((path) => (path.endsWith('/manifests/1') ? { kind: 'wrongBytes' } : undefined));
    await expect(fetchFrom(registry)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    registry.setFaults(() => undefined);
    await expectWhole(await fetchFrom(registry));
  });

  it('waits as 429 asks, tries 503 again, and tells of a rate limit of hours', async () => {
    const registry = await start();
    let asked = 0;
    registry.setFaults(() => {
      const turn = asked++;
      if (turn === 1) return { kind: 'status', status: 429, headers: { 'retry-after': '0' } };
      return turn === 2 ? { kind: 'status', status: 503 } : undefined;
    });
    await expectWhole(await fetchFrom(registry));
    registry.setFaults((path) => path.includes('/manifests/') ? { kind: 'status', status: 429, headers: { 'retry-after': '7200' } } : undefined); // prettier-ignore
    registry.requests.length = 0;
    await expect(fetchFrom(registry)).rejects.toThrow(/limits how often.*asks to wait 7200 s/);
    expect(registry.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1);
  });

  it('gives up after the given number of tries when the registry stays broken', async () => {
    const registry = await start();
    registry.setFaults((path) => (path.includes('/manifests/') ? { kind: 'status', status: 500 } : undefined));
    await expect(fetchFrom(registry)).rejects.toThrow(
      /answered with status 500 when asked for 127.0.0.1:\d+\/acme\/app:1/,
    );
    expect(registry.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(4);
  });

  it('says what is missing and how to log in, and never shows a secret', async () => {
    const registry = await start({ auth: 'bearer' });
    const anonymous = await fetchFrom(registry).catch((error: unknown) => error);
    expect(anonymous).toMatchObject({ code: 'REGISTRY_AUTH' });
    expect((anonymous as UserError).message).toContain(`docker login ${registry.host}`);
    await logIn(registry.host, auth('user', 'hunter2'));
    const refused = (await fetchFrom(registry).catch((error: unknown) => error)) as UserError;
    expect(refused.message).toContain(join(folder, '.docker/config.json'));
    expect(JSON.stringify(refused.problems)).not.toContain('hunter2');
    await logIn(registry.host, auth('user', 'secret'));
    await expect(fetchFrom(registry, {}, `${registry.host}/acme/app:9`)).rejects.toThrow(
      /has no 127.0.0.1:\d+\/acme\/app:9/,
    );
    registry.setFaults((path) => (path.includes('/manifests/') ? { kind: 'status', status: 403 } : undefined));
    await expect(fetchFrom(registry)).rejects.toThrow(/denies access/);
  });

  it('logs in again when a token ends in the middle', async () => {
    const registry = await start({ auth: 'bearer' });
    await logIn(registry.host, auth('user', 'secret'));
    let forgotten = false;
    registry.setFaults((path) => {
      if (path.endsWith(bigBlob().digest) && !forgotten) {
        forgotten = true;
        registry.forgetTokens();
      }
      return undefined;
    });
    await expectWhole(await fetchFrom(registry));
    expect(forgotten).toBe(true);
  });

  it('takes identity tokens, credential helpers and REGISTRY_AUTH_FILE', async () => {
    const registry = await start({ auth: 'bearer' });
    await logIn(registry.host, { identitytoken: 'secret' });
    await expectWhole(await fetchFrom(registry));
    expect(registry.requests.some(({ method, path }) => method === 'POST' && path === '/token')).toBe(true);

    await rm(cache.root, { recursive: true });
    const helper = join(folder, 'bin/docker-credential-sample');
    await mkdir(join(folder, 'bin'));
    await writeFile(helper, `#!/bin/sh\nread server\n[ "$server" = "${registry.host}" ] || exit 1\necho '{"ServerURL":"x","Username":"user","Secret":"secret"}'\n`); // prettier-ignore
    await chmod(helper, 0o755);
    const config = JSON.stringify({ credHelpers: { [registry.host]: 'sample' }, credsStore: 'missing' });
    await writeFile(join(folder, '.docker/config.json'), config);
    const path = { PATH: `${join(folder, 'bin')}:${process.env['PATH']!}` };
    await expectWhole(await fetchFrom(registry, { env: env(path) }));

    await rm(cache.root, { recursive: true });
    const authFile = join(folder, 'auth.json');
    await writeFile(authFile, JSON.stringify({ auths: { [`${registry.host}/acme`]: auth('user', 'secret') } }));
    await expectWhole(await fetchFrom(registry, { env: env({ REGISTRY_AUTH_FILE: authFile }) }));
    await expect(fetchFrom(registry, { env: env({ REGISTRY_AUTH_FILE: '/nowhere' }) })).rejects.toMatchObject({ code: 'BAD_AUTH_FILE' }); // prettier-ignore
  });

  it('follows redirects to blob storage without showing it the Authorization header', async () => {
    const registry = await start({ auth: 'basic' });
    const storage = await start();
    await logIn(registry.host, auth('user', 'secret'));
    registry.setFaults((path) => path.includes('/blobs/') ? { kind: 'redirect', location: `${storage.url}${path}` } : undefined); // prettier-ignore
    await expectWhole(await fetchFrom(registry));
    expect(storage.requests.length).toBeGreaterThan(3);
    expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(registry.requests.some(({ path, headers }) => path.includes('/blobs/') && headers.authorization)).toBe(true);
  });

  it('asks mirrors first, and the registry when they are down, lack it or send wrong bytes', async () => {
    const registry = await start();
    const mirror = await start();
    const mirrors = (url: string) => ({ mirrors: { [registry.host]: [url] }, attempts: 2 });
    await expectWhole(await fetchFrom(registry, mirrors(mirror.url)));
    expect(registry.requests).toEqual([]);
    for (const fault of [
      { kind: 'status', status: 404 },
      { kind: 'status', status: 500 },
      { kind: 'wrongBytes' },
    ] as const) {
      await rm(cache.root, { recursive: true });
      mirror.setFaults(() => fault);
      await expectWhole(await fetchFrom(registry, mirrors(mirror.url)));
    }
    await rm(cache.root, { recursive: true });
    await expectWhole(await fetchFrom(registry, mirrors('http://127.0.0.1:1')));
    registry.setFaults(() => ({ kind: 'status', status: 404 }));
    await rm(cache.root, { recursive: true });
    await expect(fetchFrom(registry, mirrors('http://127.0.0.1:1'))).rejects.toThrow(
      /has no 127[^]*127.0.0.1:1 cannot be reached/,
    );
  });

  it('trusts a CA from certs.d, SSL_CERT_FILE or the option, and nothing else', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await runProgram('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert]); // prettier-ignore
    const registry = await start({ tls: { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') } });
    await expect(fetchFrom(registry)).rejects.toThrow(
      /certificate of https:\/\/127.0.0.1:\d+ is not trusted[^]*certs.d/,
    );
    await mkdir(join(folder, 'certs.d', registry.host), { recursive: true });
    await writeFile(join(folder, 'certs.d', registry.host, 'ca.crt'), await readFile(cert));
    for (const options of [
      { caFiles: [cert] },
      { env: env({ SSL_CERT_FILE: cert }) },
      { certificateFolders: [join(folder, 'certs.d')] },
    ]) {
      await rm(cache.root, { recursive: true, force: true });
      await expectWhole(await fetchFrom(registry, options));
    }
  });

  it('goes through a proxy, but not to what NO_PROXY names', async () => {
    const registry = await start();
    const [, port] = registry.host.split(':');
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url!);
      const target = new URL(request.url!);
      void fetch(`http://${registry.host}${target.pathname}`, {
        headers: request.headers as Record<string, string>,
      }).then(async (answer) => {
        response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
        response.end(Buffer.from(await answer.arrayBuffer()));
      });
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const name = `registry.test:${port}/acme/app:1`;
    const options = { plainHttp: [`registry.test:${port}`], attempts: 1 };
    await expectWhole(
      await fetchFrom(registry, { ...options, env: env({ HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl }) }, name),
    );
    expect(asked[0]).toBe(`CONNECT registry.test:${port}`);
    expect(asked[1]).toBe(`http://registry.test:${port}/v2/acme/app/manifests/1`);
    asked.length = 0;
    await rm(cache.root, { recursive: true });
    await expect(
      fetchFrom(registry, { ...options, env: env({ HTTP_PROXY: proxyUrl, NO_PROXY: 'other,.test' }) }, name),
    ).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(asked).toEqual([]);
    proxy.closeAllConnections();
    proxy.close();
  });

  it('serves two runs at once on one cache, in one process and in two', async () => {
    const registry = await start();
    const caches = [openCache(cache.root), openCache(cache.root)];
    const source = registrySource({ env: env(), backoff: 1 });
    const both = await Promise.all(caches.map((one) => fetchImage(source, `${registry.host}/acme/app:1`, amd64, one)));
    for (const fetched of both) await expectWhole(fetched);
    expect(blobRequests(registry)).toHaveLength(1);

    await rm(cache.root, { recursive: true });
    const program = await buildProgram();
    const run = () => runProgram(process.execPath, [program, `${registry.host}/acme/app:1`, cache.root]);
    await Promise.all([run(), run()]);
    await expectWhole(await fetchImage(source, `${registry.host}/acme/app:1`, amd64, cache, { offline: true, pinned: { index: image.top.digest, manifest: image.manifest.digest } })); // prettier-ignore
    expect((await readdir(cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'))).toEqual([]);
    await source.close();
  });

  it('takes up the download of a run that was killed with SIGKILL', async () => {
    const registry = await start();
    const program = await buildProgram();
    const run = (killAfter: number) => runProgram(process.execPath, [program, `${registry.host}/acme/app:1`, cache.root, String(killAfter)]); // prettier-ignore
    await expect(run(100_000)).rejects.toThrow(/SIGKILL/);
    expect(await cache.has('blob', digestHex(bigBlob().digest))).toBe(false);
    registry.requests.length = 0;
    await run(Infinity);
    expect(blobRequests(registry)[0]!.headers.range).toMatch(/^bytes=[1-9]/);
    await expectWhole(await fetchFrom(registry));
    expect((await readdir(cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('begins anew when what a killed run left is damaged', async () => {
    const registry = await start();
    registry.setFaults((path) => (path.endsWith(bigBlob().digest) ? { kind: 'cut', after: 50_000 } : undefined));
    await expect(fetchFrom(registry, { attempts: 1 })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    const [left] = (await readdir(cache.root, { recursive: true })).filter((name) => name.endsWith('.partial'));
    await writeFile(join(cache.root, left!), 'something else');
    registry.setFaults(() => undefined);
    await expectWhole(await fetchFrom(registry));
  });

  it('says that the disk is full, and the next run works', async () => {
    const registry = await start();
    const probe = await open(join(folder, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(probe) as { write: (...args: unknown[]) => unknown };
    await probe.close();
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' });
    const spy = vi.spyOn(prototype, 'write').mockRejectedValue(full);
    try {
      await expect(fetchFrom(registry)).rejects.toThrow(/cannot write \d+ bytes to the cache .*: the disk is full/);
    } finally {
      spy.mockRestore();
    }
    await expectWhole(await fetchFrom(registry));
  });

  it('drops a cached blob of the wrong size and fetches it anew', async () => {
    const registry = await start();
    await fetchFrom(registry);
    await writeFile(cache.path('blob', digestHex(bigBlob().digest)), 'short');
    await expectWhole(await fetchFrom(registry));
  });

  it('stops when it is told to', async () => {
    const registry = await start();
    const stop = new AbortController();
    registry.setFaults((path) => {
      if (path.endsWith(bigBlob().digest)) stop.abort();
      return undefined;
    });
    const source = registrySource({ env: env(), backoff: 1 });
    const fetching = fetchImage(source, `${registry.host}/acme/app:1`, amd64, cache, { signal: stop.signal });
    await expect(fetching).rejects.toMatchObject({ name: 'AbortError' });
    await source.close();
  });
});

/** The library as a program of its own: `fetch.mjs REFERENCE CACHE [BYTES]`, which kills itself after so many bytes. */
async function buildProgram(): Promise<string> {
  const outfile = join(folder, 'fetch.mjs');
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

it('closes its servers', async () => {
  const registry = await startTestRegistry();
  const { port } = new URL(registry.url);
  await registry.close();
  await expect(new Promise((resolve, reject) => connect(Number(port), '127.0.0.1', () => resolve(0)).on('error', reject))).rejects.toMatchObject({ code: 'ECONNREFUSED' }); // prettier-ignore
});
