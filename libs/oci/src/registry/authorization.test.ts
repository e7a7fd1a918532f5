import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSkopeo, skopeo } from '../testing/skopeo.ts';
import { startTestRegistry } from '../testing/test-registry.ts';
import { fetchToken, parseChallenges } from './authorization.ts';
import { findCredentials } from './credentials.ts';
import { retryAfter } from './patient-requests.ts';

const hasSkopeo = await findSkopeo();

describe('challenges', () => {
  it('are read with quotes, commas and several schemes', () => {
    expect(parseChallenges('Bearer realm="https://auth.test/token",service="reg.test",scope="repository:a/b:pull,push"')).toEqual([
      { scheme: 'bearer', parameters: { realm: 'https://auth.test/token', service: 'reg.test', scope: 'repository:a/b:pull,push' } },
    ]);
    expect(parseChallenges('Basic realm="a \\"b\\"", Bearer realm=https://x/y')).toEqual([
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'bearer', parameters: { realm: 'https://x/y' } },
    ]);
    expect(parseChallenges('')).toEqual([]);
    expect(parseChallenges('="x", ,,')).toEqual([]);
  }); // prettier-ignore

  it('that would send a password without TLS, or nowhere, are refused', async () => {
    const ask = (realm: string) =>
      fetchToken({ scheme: 'bearer', parameters: { realm } }, 's', undefined, 'reg.test', false, () =>
        Promise.reject(new Error('sent')),
      );
    await expect(ask('http://auth.test/token')).rejects.toMatchObject({ code: 'REGISTRY_AUTH' });
    await expect(ask('nonsense')).rejects.toMatchObject({ code: 'REGISTRY_AUTH' });
    await expect(ask('https://auth.test/token')).rejects.toThrow('sent');
  });
});

it('reads Retry-After as seconds and as a date', () => {
  const wait = (text?: string) => retryAfter({ header: () => text });
  expect([wait('7'), wait(), wait('soon')]).toEqual([7, 0, 0]);
  expect(wait(new Date(Date.now() + 60_000).toUTCString())).toBeGreaterThan(50);
  expect(wait(new Date(0).toUTCString())).toBe(0);
});

describe('credentials', () => {
  let home: string;
  beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'boxship-oci-'))));
  afterEach(() => rm(home, { recursive: true, force: true }));
  const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
  const write = async (path: string, value: object) => {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), JSON.stringify(value));
  };
  const find = (registry: string, repository = 'acme/app', env = {}) =>
    findCredentials(registry, repository, { HOME: home, ...env });

  it('of Docker Hub are found under its old name', async () => {
    await write('.docker/config.json', { auths: { 'https://index.docker.io/v1/': auth('me:pass:word') } });
    expect(await find('docker.io')).toMatchObject({ username: 'me', password: 'pass:word' });
    expect(await find('reg.test')).toBeUndefined();
  });

  it('of the deepest key win, and those of podman come before docker\'s', async () => {
    await write('.docker/config.json', { auths: { 'reg.test': auth('docker:x') } });
    await write('run/containers/auth.json', { auths: { 'reg.test/acme': auth('team:x'), 'reg.test/acme/app': auth('app:x') } });
    const env = { XDG_RUNTIME_DIR: join(home, 'run') };
    expect(await find('reg.test', 'acme/app', env)).toMatchObject({ username: 'app' });
    expect(await find('reg.test', 'acme/other', env)).toMatchObject({ username: 'team' });
    expect(await find('reg.test', 'other', env)).toMatchObject({ username: 'docker' });
    await write('elsewhere/config.json', { auths: { 'https://reg.test/v2/': { username: 'u', password: 'p' } } });
    expect(await find('reg.test', 'x', { DOCKER_CONFIG: join(home, 'elsewhere') })).toMatchObject({ username: 'u', password: 'p' });
  }); // prettier-ignore

  it('files that are no JSON are told without being quoted', async () => {
    await mkdir(join(home, '.docker'));
    await writeFile(join(home, '.docker/config.json'), '{"auths": hunter2');
    const error = await find('reg.test').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'BAD_AUTH_FILE' });
    expect(String(error)).not.toContain('hunter2');
  });

  it('helpers that are missing or fail are told without their output', async () => {
    await write('.docker/config.json', { credsStore: 'boxship-has-none' });
    await expect(find('reg.test')).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
    await mkdir(join(home, 'bin'));
    const helper = join(home, 'bin/docker-credential-x');
    const env = { PATH: `${join(home, 'bin')}:${process.env['PATH']!}` };
    await write('.docker/config.json', { credsStore: 'x', auths: { 'reg.test': auth('file:x') } });
    await writeFile(helper, '#!/bin/sh\necho hunter2; exit 3\n', { mode: 0o755 });
    const error = await find('reg.test', 'a', env).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CREDENTIAL_HELPER' });
    expect(String(error)).not.toContain('hunter2');
    await writeFile(helper, '#!/bin/sh\necho "credentials not found in native keychain"; exit 1\n');
    expect(await find('reg.test', 'a', env)).toMatchObject({ username: 'file' });
    await write('.docker/config.json', { credsStore: '../../evil' });
    await expect(find('reg.test', 'a', env)).rejects.toMatchObject({ code: 'CREDENTIAL_HELPER' });
  });

  it.runIf(hasSkopeo)('that skopeo login wrote are found', async () => {
    const registry = await startTestRegistry({ auth: 'basic' });
    try {
      const file = join(home, 'auth.json');
      await skopeo('login', '--tls-verify=false', '--authfile', file, '-u', 'user', '-p', 'secret', registry.host);
      const found = await find(registry.host, 'a', { REGISTRY_AUTH_FILE: file });
      expect(found).toEqual({ username: 'user', password: 'secret', from: file });
    } finally {
      await registry.close();
    }
  });
});
