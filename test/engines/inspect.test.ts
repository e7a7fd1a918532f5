import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCache, runProgram } from '@boxship/host';
import { inspectPath } from '@boxship/inspect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withContainerd } from '../lab/containerd.mjs';
import { withDockerd } from '../lab/engine-roots.mjs';
import { withPodman } from '../lab/podman.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, makeSamples, serveSamples, type Samples } from './sample-images.ts';

// What an engine has in its own store, read from a file system without the engine: it must be what the engine lists.

let folder = '';
let samples: Samples;
/** gateway 1.0 as `docker save` writes it. */
let archive = '';

beforeAll(async () => {
  folder = join(tmpdir(), `boxship-inspect-test-${process.pid}`); // podman 4.3 makes a name of it: no capital letters
  await mkdir(folder);
  samples = await makeSamples(folder);
  archive = join(folder, 'gateway.tar');
  const { folder: layout, name } = samples.gateway;
  await runProgram('skopeo', ['--insecure-policy', 'copy', '-q', `oci:${layout}:${name}`, `docker-archive:${archive}:${GATEWAY}:1.0`]);
}); // prettier-ignore
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Stores in an ext4 that e2fsprogs makes of `tree`, the root of a device. */
async function storesIn(tree: string) {
  const image = `${tree}.ext4`;
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-d', tree, image, '192M']);
  const inspection = await inspectPath(image, { cache: openCache(join(folder, 'cache')) });
  expect(inspection.problems).toEqual([]);
  await rm(image);
  return inspection.filesystem!.system!.stores;
}

describe.skipIf(whyNoEngine())('images of an engine, without the engine', () => {
  it.each(['28'] as const)('docker %s', async (version) => {
    const tree = join(folder, `docker-${version}`);
    let listed = '';
    await withDockerd({ version, dataRoot: join(tree, 'var/lib/docker'), folders: [folder] }, async (docker) => {
      await docker.run('load', '-q', '-i', archive);
      await docker.run('tag', `${GATEWAY}:1.0`, 'acme/again:2');
      listed = await docker.run('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}');
    });
    const [store] = await storesIn(tree);
    expect(store).toMatchObject({ engine: 'docker', folder: '/var/lib/docker', problems: [] });
    expect(store!.images).toHaveLength(1);
    const [image] = store!.images;
    expect(image!.names.map((name) => `${name} ${image!.id}`).sort()).toEqual(listed.split('\n').sort());
    expect(image).toMatchObject({ platform: 'linux/amd64', layers: 5 });
  });

  it.each(['5.8'] as const)('podman %s', async (version) => {
    const tree = join(folder, `podman-${version}`);
    const graphRoot = join(tree, 'var/lib/containers/storage');
    let listed = '';
    await withPodman({ version, graphRoot, folders: [folder] }, async (podman) => {
      await podman.run('load', '-q', '-i', archive);
      listed = await podman.run('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}');
    });
    const [store] = await storesIn(tree);
    expect(store).toMatchObject({ engine: 'podman', folder: '/var/lib/containers/storage', problems: [] });
    const [image] = store!.images;
    expect(`${image!.names[0]} ${image!.id} ${image!.manifest}`).toBe(listed);
    expect(image).toMatchObject({ platform: 'linux/amd64', layers: 5 });
  });

  it.each(['1.6', '2.1'] as const)('containerd %s', async (version) => {
    const tree = join(folder, `containerd-${version}`);
    await using registry = await serveSamples(samples);
    let listed: (string | undefined)[][] = [];
    await withContainerd({ version, state: join(tree, 'var/lib/containerd'), folders: [folder] }, async ({ ctr }) => {
      for (const name of ['gateway', 'hmi']) await ctr('images', 'pull', '--plain-http', `${registry.host}/acme/${name}:1.0`); // prettier-ignore
      const lines = (await ctr('images', 'ls')).split('\n').slice(1);
      listed = lines.map((line) => line.trim().split(/\s+/)).map(([name, , digest]) => [name, digest]);
    });
    const [store] = await storesIn(tree);
    expect(store).toMatchObject({ engine: 'containerd', folder: '/var/lib/containerd', problems: [] });
    const pairs = store!.images.map(({ names, manifest }) => `${names[0]} ${manifest}`);
    expect([...new Set(pairs)]).toEqual(listed.map((pair) => pair.join(' ')).sort());
    // containerd 2.1 fetches the documents of all platforms; the arm64 image shares every layer with the other
    const own = store!.images.filter(({ platform }) => platform === 'linux/amd64');
    expect(own.map(({ namespace, layers }) => [namespace, layers])).toEqual([['default', 5], ['default', 6]]); // prettier-ignore
  });
});
