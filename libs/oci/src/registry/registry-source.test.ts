import { createServer } from 'node:http';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { UserError } from '@boxship/model';
import { serveSampleImage } from '../testing/served-image.ts';
import { findSkopeo, skopeo } from '../testing/skopeo.ts';
import { startTestRegistry } from '../testing/test-registry.ts';

const hasSkopeo = await findSkopeo();
const served = serveSampleImage();
const auth = (user: string, password: string) => ({ auth: Buffer.from(`${user}:${password}`).toString('base64') });

describe('registries', () => {
  it.runIf(hasSkopeo)('agrees with skopeo about what a registry serves, with each kind of login', async () => {
    for (const kind of ['none', 'basic', 'bearer'] as const) {
      const registry = await served.start({ auth: kind });
      await served.logIn(registry.host, auth('user', 'secret'));
      const login = kind === 'none' ? [] : ['--src-creds', 'user:secret'];
      const platform = ['--override-os', 'linux', '--override-arch', 'amd64'];
      const from = [`docker://${registry.host}/acme/app:1`, `dir:${served.folder}/copy-${kind}`];
      await skopeo(...platform, 'copy', '--src-tls-verify=false', ...login, ...from);
      const fetched = await served.fetchFrom(registry);
      await served.expectWhole(fetched);
      const manifest = await readFile(join(served.folder, `copy-${kind}/manifest.json`));
      expect(Buffer.from(fetched.manifestBytes)).toEqual(manifest);
      await rm(served.cache.root, { recursive: true });
    }
  });

  it('waits as 429 asks, tries 503 again, and tells of a rate limit of hours', async () => {
    const registry = await served.start();
    let asked = 0;
    registry.setFaults(() => {
      const turn = asked++;
      if (turn === 1) return { kind: 'status', status: 429, headers: { 'retry-after': '0' } };
      return turn === 2 ? { kind: 'status', status: 503 } : undefined;
    });
    await served.expectWhole(await served.fetchFrom(registry));
    registry.setFaults((path) => path.includes('/manifests/') ? { kind: 'status', status: 429, headers: { 'retry-after': '7200' } } : undefined); // prettier-ignore
    registry.requests.length = 0;
    await expect(served.fetchFrom(registry)).rejects.toThrow(/limits how often.*asks to wait 7200 s/);
    expect(registry.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1);
  });

  it('gives up after the given number of tries when the registry stays broken', async () => {
    const registry = await served.start();
    registry.setFaults((path) => (path.includes('/manifests/') ? { kind: 'status', status: 500 } : undefined));
    await expect(served.fetchFrom(registry)).rejects.toThrow(
      /answered with status 500 when asked for 127.0.0.1:\d+\/acme\/app:1/,
    );
    expect(registry.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(4);
  });

  it('says what is missing and how to log in, and never shows a secret', async () => {
    const registry = await served.start({ auth: 'bearer' });
    const anonymous = await served.fetchFrom(registry).catch((error: unknown) => error);
    expect(anonymous).toMatchObject({ code: 'REGISTRY_AUTH' });
    expect((anonymous as UserError).message).toContain(`docker login ${registry.host}`);
    await served.logIn(registry.host, auth('user', 'hunter2'));
    const refused = (await served.fetchFrom(registry).catch((error: unknown) => error)) as UserError;
    expect(refused.message).toContain(join(served.folder, '.docker/config.json'));
    expect(JSON.stringify(refused.problems)).not.toContain('hunter2');
    await served.logIn(registry.host, auth('user', 'secret'));
    await expect(served.fetchFrom(registry, {}, `${registry.host}/acme/app:9`)).rejects.toThrow(
      /has no 127.0.0.1:\d+\/acme\/app:9/,
    );
    registry.setFaults((path) => (path.includes('/manifests/') ? { kind: 'status', status: 403 } : undefined));
    await expect(served.fetchFrom(registry)).rejects.toThrow(/denies access/);
  });

  it('logs in again when a token ends in the middle', async () => {
    const registry = await served.start({ auth: 'bearer' });
    await served.logIn(registry.host, auth('user', 'secret'));
    let forgotten = false;
    registry.setFaults((path) => {
      if (path.endsWith(served.bigBlob.digest) && !forgotten) {
        forgotten = true;
        registry.forgetTokens();
      }
      return undefined;
    });
    await served.expectWhole(await served.fetchFrom(registry));
    expect(forgotten).toBe(true);
  });

  it('takes identity tokens, credential helpers and REGISTRY_AUTH_FILE', async () => {
    const registry = await served.start({ auth: 'bearer' });
    await served.logIn(registry.host, { identitytoken: 'secret' });
    await served.expectWhole(await served.fetchFrom(registry));
    expect(registry.requests.some(({ method, path }) => method === 'POST' && path === '/token')).toBe(true);

    await rm(served.cache.root, { recursive: true });
    const helper = join(served.folder, 'bin/docker-credential-sample');
    await mkdir(join(served.folder, 'bin'));
    await writeFile(helper, `#!/bin/sh\nread server\n[ "$server" = "${registry.host}" ] || exit 1\necho '{"ServerURL":"x","Username":"user","Secret":"secret"}'\n`); // prettier-ignore
    await chmod(helper, 0o755);
    const config = JSON.stringify({ credHelpers: { [registry.host]: 'sample' }, credsStore: 'missing' });
    await writeFile(join(served.folder, '.docker/config.json'), config);
    const path = { PATH: `${join(served.folder, 'bin')}:${process.env['PATH']!}` };
    await served.expectWhole(await served.fetchFrom(registry, { env: served.env(path) }));

    await rm(served.cache.root, { recursive: true });
    const authFile = join(served.folder, 'auth.json');
    await writeFile(authFile, JSON.stringify({ auths: { [`${registry.host}/acme`]: auth('user', 'secret') } }));
    await served.expectWhole(await served.fetchFrom(registry, { env: served.env({ REGISTRY_AUTH_FILE: authFile }) }));
    await expect(served.fetchFrom(registry, { env: served.env({ REGISTRY_AUTH_FILE: '/nowhere' }) })).rejects.toMatchObject({ code: 'BAD_AUTH_FILE' }); // prettier-ignore
  });

  it('follows redirects to blob storage without showing it the Authorization header', async () => {
    const registry = await served.start({ auth: 'basic' });
    const storage = await served.start();
    await served.logIn(registry.host, auth('user', 'secret'));
    registry.setFaults((path) => path.includes('/blobs/') ? { kind: 'redirect', location: `${storage.url}${path}` } : undefined); // prettier-ignore
    await served.expectWhole(await served.fetchFrom(registry));
    expect(storage.requests.length).toBeGreaterThan(3);
    expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(registry.requests.some(({ path, headers }) => path.includes('/blobs/') && headers.authorization)).toBe(true);
  });

  it('asks mirrors first, and the registry when they are down, lack it or send wrong bytes', async () => {
    const registry = await served.start();
    const mirror = await served.start();
    const mirrors = (url: string) => ({ mirrors: { [registry.host]: [url] }, attempts: 2 });
    await served.expectWhole(await served.fetchFrom(registry, mirrors(mirror.url)));
    expect(registry.requests).toEqual([]);
    for (const fault of [
      { kind: 'status', status: 404 },
      { kind: 'status', status: 500 },
      { kind: 'wrongBytes' },
    ] as const) {
      await rm(served.cache.root, { recursive: true });
      mirror.setFaults(() => fault);
      await served.expectWhole(await served.fetchFrom(registry, mirrors(mirror.url)));
    }
    await rm(served.cache.root, { recursive: true });
    await served.expectWhole(await served.fetchFrom(registry, mirrors('http://127.0.0.1:1')));
    registry.setFaults(() => ({ kind: 'status', status: 404 }));
    await rm(served.cache.root, { recursive: true });
    await expect(served.fetchFrom(registry, mirrors('http://127.0.0.1:1'))).rejects.toThrow(
      /has no 127[^]*127.0.0.1:1 cannot be reached/,
    );
  });

  it('trusts a CA from certs.d, SSL_CERT_FILE or the option, and nothing else', async () => {
    const { key, cert } = await makeCertificate();
    const registry = await served.start({ tls: { key, cert: await readFile(cert, 'utf8') } });
    await expect(served.fetchFrom(registry)).rejects.toThrow(
      /certificate of https:\/\/127.0.0.1:\d+ is not trusted[^]*certs.d/,
    );
    await mkdir(join(served.folder, 'certs.d', registry.host), { recursive: true });
    await writeFile(join(served.folder, 'certs.d', registry.host, 'ca.crt'), await readFile(cert));
    for (const options of [
      { caFiles: [cert] },
      { env: served.env({ SSL_CERT_FILE: cert }) },
      { certificateFolders: [join(served.folder, 'certs.d')] },
    ]) {
      await rm(served.cache.root, { recursive: true, force: true });
      await served.expectWhole(await served.fetchFrom(registry, options));
    }
  });

  it('tunnels TLS through a proxy, which gets its own login and nothing of the registry', async () => {
    const { key, cert } = await makeCertificate();
    const registry = await served.start({ auth: 'basic', tls: { key, cert: await readFile(cert, 'utf8') } });
    const [address, port] = registry.host.split(':');
    await served.logIn(`registry.test:${port}`, auth('user', 'secret'));
    const seen: string[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      seen.push(`${request.url} ${JSON.stringify(request.headers)}`);
      const upstream = connect(Number(port), address!, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [upstream, socket]) end.on('error', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = `http://me:pass%20word@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const options = { caFiles: [cert], env: served.env({ HTTPS_PROXY: url }) };
    await served.expectWhole(await served.fetchFrom(registry, options, `registry.test:${port}/acme/app:1`));
    expect(seen.every((line) => line.startsWith(`registry.test:${port} `))).toBe(true);
    expect(seen[0]).toContain(Buffer.from('me:pass word').toString('base64'));
    expect(seen.join()).not.toContain('"authorization"');
    proxy.closeAllConnections();
    proxy.close();
  });

  it('goes through a proxy, but not to what NO_PROXY names', async () => {
    const registry = await served.start();
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
    await served.expectWhole(
      await served.fetchFrom(
        registry,
        { ...options, env: served.env({ HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl }) },
        name,
      ),
    );
    expect(asked[0]).toBe(`CONNECT registry.test:${port}`);
    expect(asked[1]).toBe(`http://registry.test:${port}/v2/acme/app/manifests/1`);
    asked.length = 0;
    await rm(served.cache.root, { recursive: true });
    await expect(
      served.fetchFrom(
        registry,
        { ...options, env: served.env({ HTTP_PROXY: proxyUrl, NO_PROXY: 'other,.test' }) },
        name,
      ),
    ).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(asked).toEqual([]);
    proxy.closeAllConnections();
    proxy.close();
  });
});

/** A self-signed certificate for 127.0.0.1 and registry.test: its key as PEM, and the file it lies in. */
async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(served.folder, 'key.pem'), join(served.folder, 'cert.pem')];
  const names = 'subjectAltName=IP:127.0.0.1,DNS:registry.test';
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test'];
  await runProgram('openssl', ['req', '-x509', ...kind, '-addext', names, '-keyout', key, '-out', cert]);
  return { key: await readFile(key, 'utf8'), cert };
}

it('closes its servers', async () => {
  const registry = await startTestRegistry();
  const { port } = new URL(registry.url);
  await registry.close();
  await expect(new Promise((resolve, reject) => connect(Number(port), '127.0.0.1', () => resolve(0)).on('error', reject))).rejects.toMatchObject({ code: 'ECONNREFUSED' }); // prettier-ignore
});
