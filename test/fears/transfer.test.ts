import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pullRelease, pushRelease, RELEASE_TYPE } from '@boxship/compose';
import { openCache, runProgram, silent, startProgram } from '@boxship/host';
import type { Digest } from '@boxship/model';
import {
  ociLayoutTarget,
  openLocalImages,
  parseReference,
  pushArtifact,
  registrySource,
  registryTarget,
} from '@boxship/oci';
import { generateKeyPair } from 'cosign-node-binding';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRegistry, type RunningRegistry } from '../lab/registry.mjs';
import { builtProgram, fearProduct, filesBelow, noise, refusal, type FearProduct } from './fear-product.ts';

// A release to a real registry and back: docker-registry 2.8, skopeo.

let product: FearProduct;
let registry: RunningRegistry;
let folder = '';
const fast = { backoff: 5 };

beforeAll(async () => {
  // more than one piece of an upload
  product = await fearProduct({
    layers: [[{ name: 'bin/app', mode: 0o755, body: noise(12 << 20) }]],
    yaml: (text) => `${text}documents: [cyclonedx, provenance]\n`,
  });
  await product.lock();
  const [composed] = await product.compose();
  folder = composed!.folder;
  registry = await startRegistry(product.path('registry'));
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await product[Symbol.asyncDispose]();
});

let turn = 0;
/** Nothing in its cache: every byte comes from the source. */
const freshOptions = () => ({ cache: openCache(product.path(`cache-${(turn += 1)}`)), progress: silent });
const key = () => product.keys.publicKeyPem;

async function push(name: string, host = registry.host, from = folder) {
  const reference = parseReference(`${host}/${name}`);
  await using target = registryTarget(reference, fast);
  return await pushRelease(from, key(), target, reference.tag!, freshOptions());
}

async function pull(name: string, to: string, options: { host?: string; key?: string } = {}) {
  await using source = registrySource(fast);
  const reference = parseReference(`${options.host ?? registry.host}/${name}`);
  return await pullRelease(source, reference, product.path(to), options.key ?? key(), freshOptions());
}

describe('a release on a registry', () => {
  it('comes back byte for byte, signatures included; skopeo sees what it is', async () => {
    const { artifact, signatures } = await push('acme/gateway:1.0.0');
    const { stdout } = await runProgram('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/acme/gateway:1.0.0`]); // prettier-ignore
    expect(`sha256:${createHash('sha256').update(stdout).digest('hex')}`).toBe(artifact.digest);
    const manifest = JSON.parse(stdout.toString()) as { artifactType: string; config: { mediaType: string }; layers: { digest: string; annotations: Record<string, string> }[] }; // prettier-ignore
    expect(manifest.artifactType).toBe(RELEASE_TYPE);
    expect(manifest.config.mediaType).toBe('application/vnd.oci.empty.v1+json');
    for (const { digest, annotations } of manifest.layers) {
      const bytes = await readFile(join(folder, annotations['org.opencontainers.image.title']!));
      expect(digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    }
    // this registry lists no referrers: the index of the tag schema does
    const tag = artifact.digest.replace(':', '-');
    const index = await runProgram('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/acme/gateway:${tag}`]); // prettier-ignore
    const { manifests } = JSON.parse(index.stdout.toString()) as {
      manifests: { digest: string; artifactType: string }[];
    };
    expect(manifests.find(({ artifactType }) => artifactType === 'application/vnd.boxship.signatures.v1')!.digest).toBe(signatures.digest); // prettier-ignore
    expect(manifests.map(({ artifactType }) => artifactType).sort()).toEqual([
      'application/vnd.boxship.signatures.v1',
      'application/vnd.cyclonedx+json',
      'application/vnd.dev.sigstore.bundle.v0.3+json',
    ]);
    const pulled = await pull('acme/gateway:1.0.0', 'pulled');
    expect(pulled.artifact.digest).toBe(artifact.digest);
    await runProgram('diff', ['-r', folder, product.path('pulled')]);
    await pull(`acme/gateway@${artifact.digest}`, 'pulled'); // by digest, over the one that is there
    await runProgram('diff', ['-r', folder, product.path('pulled')]);
  });

  it('is pushed again without sending it again, and has the same digest', async () => {
    const first = await push('acme/gateway:1.0.0');
    let sent = 0;
    await using proxy = await proxyTo(registry.port, { onUp: (bytes) => (sent += bytes) });
    const again = await push('acme/gateway:again', proxy.host);
    expect(again.artifact.digest).toBe(first.artifact.digest);
    expect(sent).toBeLessThan(100_000);
  });

  it('goes on where a broken connection ended, both ways', async () => {
    let sent = 0;
    await using up = await proxyTo(registry.port, { cutUp: [9 << 20, 3 << 20], onUp: (bytes) => (sent += bytes) });
    await push('acme/broken:1', up.host);
    const image = (await readdir(folder)).find((name) => name.endsWith('.img'))!;
    const { size } = await stat(join(folder, image));
    expect(up.cuts()).toBe(2);
    expect(sent).toBeLessThan(size + (18 << 20)); // no more than the pieces that were under way
    await using down = await proxyTo(registry.port, { cutDown: [5 << 20, 4 << 20] });
    await pull('acme/broken:1', 'from-broken', { host: down.host });
    expect(down.cuts()).toBe(2);
    await runProgram('diff', ['-r', folder, product.path('from-broken')]);
  });

  it('that SIGKILL ends on its way leaves nothing that looks whole; the next run is as if nothing had been', async () => {
    const program = await builtProgram();
    const keyFile = product.path('release.pub');
    /** Runs the program until so many bytes have gone to the registry or come from it. */
    const killed = async (command: 'push' | 'pull', bytes: number, name: string) => {
      let stop = () => {};
      let seen = 0;
      const count = (more: number) => void ((seen += more) >= bytes && stop());
      await using proxy = await proxyTo(registry.port, command === 'push' ? { onUp: count } : { onDown: count });
      const reference = `${proxy.host}/${name}`;
      const places = command === 'push' ? [folder, reference] : [reference, product.path('killed')];
      const started = await startProgram(process.execPath, [program, command, ...places, '--key', keyFile], {
        env: { BOXSHIP_CACHE: product.path(`cache-${(turn += 1)}`) },
      });
      stop = () => process.kill(started.pid, 'SIGKILL');
      expect((await started.ended).signal).toBe('SIGKILL');
    };
    for (const [index, bytes] of [1 << 16, 11 << 20].entries()) {
      await killed('push', bytes, `acme/killed:${index}`);
      expect((await refusal(pull(`acme/killed:${index}`, 'killed'))).code).toBe('IMAGE_NOT_FOUND');
      await push(`acme/killed:${index}`);
      await killed('pull', bytes, `acme/killed:${index}`);
      expect(await filesBelow(product.path('killed'))).toEqual({});
      await pull(`acme/killed:${index}`, 'killed');
      await runProgram('diff', ['-r', folder, product.path('killed')]);
      expect((await readdir(product.folder)).filter((one) => one.endsWith('.partial'))).toEqual([]);
      await rm(product.path('killed'), { recursive: true });
      await rm(registry.data, { recursive: true }); // the next push has to send all of it
    }
  });

  it('is refused when it is not what the key signed, in the folder or on the registry', async () => {
    const copy = product.path('copy');
    await runProgram('cp', ['-r', folder, copy]);
    await writeFile(join(copy, 'stranger'), '');
    expect((await refusal(push('acme/bad:1', registry.host, copy))).code).toBe('STRANGE_FILE');
    const other = await generateKeyPair({ password: 'x' });
    await push('acme/gateway:1.0.0');
    expect((await refusal(pull('acme/gateway:1.0.0', 'other', { key: other.publicKeyPem }))).message).toMatch(/release\.json/); // prettier-ignore
    expect(await filesBelow(product.path('other'))).toEqual({});
    expect((await refusal(pull('acme/gateway:nowhere', 'other'))).code).toBe('IMAGE_NOT_FOUND');

    // a bit of the image flips where the registry keeps it
    await push('acme/flipped:1');
    const image = (await readdir(folder)).find((name) => name.endsWith('.img'))!;
    const hex = createHash('sha256').update(await readFile(join(folder, image))).digest('hex'); // prettier-ignore
    const stored = join(registry.data, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    const bytes = await readFile(stored);
    bytes[5_000_000]! ^= 1;
    await writeFile(stored, bytes);
    expect((await refusal(pull('acme/flipped:1', 'flipped'))).code).toBe('DIGEST_MISMATCH');
    bytes[5_000_000]! ^= 1;
    await writeFile(stored, bytes);
    expect(await filesBelow(product.path('flipped'))).toEqual({});
    expect((await readdir(product.folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('without signatures, of another type, or with names that leave the folder is refused', async () => {
    const file = product.path('file');
    await writeFile(file, 'x');
    const blob = { mediaType: 'text/plain', digest: `sha256:${createHash('sha256').update('x').digest('hex')}` as Digest, size: 1, path: file }; // prettier-ignore
    const push = async (name: string, artifactType: string, title: string, signed = false) => {
      const reference = parseReference(`${registry.host}/${name}`);
      await using target = registryTarget(reference, fast);
      const subject = await pushArtifact(target, { artifactType, files: [{ ...blob, title }], tag: reference.tag! });
      if (signed)
        await pushArtifact(target, { artifactType: 'application/vnd.boxship.signatures.v1', files: [], subject });
    };
    await push('acme/strange:1', 'text/strange', 'a');
    expect((await refusal(pull('acme/strange:1', 'out'))).message).toMatch(/is of the type text\/strange, not application\/vnd\.boxship/); // prettier-ignore
    await push('acme/unsigned:1', RELEASE_TYPE, 'a');
    expect((await refusal(pull('acme/unsigned:1', 'out'))).code).toBe('NO_SIGNATURES');
    for (const [index, title] of ['../escape', 'a/b', '.hidden', '', '-', 'a\nb'].entries()) {
      await push(`acme/names:${index}`, RELEASE_TYPE, title, true);
      const error = await refusal(pull(`acme/names:${index}`, 'out'));
      expect([title, error.code]).toEqual([title, title === '-' ? 'NO_RELEASE' : 'UNSAFE_NAME']);
    }
    expect(await filesBelow(product.path('out'))).toEqual({});
    await mkdir(product.path('mine'));
    await writeFile(product.path('mine/photo.jpg'), '');
    expect((await refusal(pull('acme/gateway:1.0.0', 'mine'))).code).toBe('OUTPUT_TAKEN');
  });
});

describe('a release in an OCI layout', () => {
  it('is what the registry has, and comes back byte for byte', async () => {
    const layout = product.path('layout');
    await using target = ociLayoutTarget(layout);
    const pushed = await pushRelease(folder, key(), target, '1.0.0', freshOptions());
    const online = await push('acme/gateway:1.0.0');
    expect([pushed.artifact, pushed.signatures]).toEqual([online.artifact, online.signatures]);
    const { stdout } = await runProgram('skopeo', ['inspect', '--raw', `oci:${layout}:1.0.0`]);
    expect(`sha256:${createHash('sha256').update(stdout).digest('hex')}`).toBe(pushed.artifact.digest);
    const options = freshOptions();
    const from = async () => {
      await using source = await openLocalImages(`oci:${layout}:1.0.0`, options);
      return await pullRelease(
        source,
        parseReference('localhost/layout:1'),
        product.path('from-layout'),
        key(),
        options,
      );
    };
    await from();
    await runProgram('diff', ['-r', folder, product.path('from-layout')]);
    await pushRelease(folder, key(), target, '1.0.0', freshOptions());
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: object[] };
    expect(index.manifests).toHaveLength(4); // the release, its signatures, two documents; pushed twice, there once
    await rm(join(layout, 'blobs/sha256', pushed.signatures.digest.slice(7)));
    expect((await refusal(from())).code).toBe('BLOB_MISSING');
  });
});

/** A way to the registry that breaks: after so many bytes of a direction, connection by connection. */
async function proxyTo(
  port: number,
  {
    cutUp = [],
    cutDown = [],
    onUp = () => {},
    onDown = () => {},
  }: {
    cutUp?: number[];
    cutDown?: number[];
    onUp?: (bytes: number) => void;
    onDown?: (bytes: number) => void;
  },
) {
  const limits = { up: [...cutUp], down: [...cutDown] };
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    const pipe = (from: Socket, to: Socket, way: 'up' | 'down') => {
      let seen = 0;
      from.on('data', (bytes: Buffer) => {
        seen += bytes.length;
        (way === 'up' ? onUp : onDown)(bytes.length);
        const [limit] = limits[way];
        if (limit !== undefined && seen > limit) {
          limits[way].shift();
          cuts += 1;
          client.destroy();
          upstream.destroy();
        } else if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      from.on('end', () => to.end());
    };
    pipe(client, upstream, 'up');
    pipe(upstream, client, 'down');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    cuts: () => cuts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
