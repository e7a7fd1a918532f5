import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mobyNamespace } from '../../libs/engines/src/containerd-store/namespaces.ts';
import { containerdStore } from '../../libs/engines/src/containerd-store/store.ts';
import { withDockerd, type Docker, type DockerVersion } from '../lab/engine-roots.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, UP, hashArchive, layersOf, makeSamples, serveSamples, type Samples } from './sample-images.ts';
import { EPOCH, checkFilesystem, withMount, withParents, writeStorePartition } from './store-partition.ts';

// docker with its images in the store of the containerd that it starts itself.

let folder = '';
let samples: Samples;
beforeAll(async () => {
  folder = join(tmpdir(), `boxship-docker-containerd-test-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const VERSIONS: readonly DockerVersion[] = ['26.1', '28'];
const ROOT = 'docker/containerd/daemon';
const ONCE = ['run', '--rm', '--network', 'none', '-e', 'BOXSHIP_DEMO_ONCE=1'];

describe.skipIf(whyNoEngine())("docker's containerd image store, opened by a real docker", () => {
  it.each(VERSIONS)('%s: lives its whole life', async (version) => {
    const partition = join(folder, 'store.img');
    await writeStorePartition(partition, withParents(containerdStore(samples.images, { epoch: EPOCH, root: ROOT, namespace: mobyNamespace }))); // prettier-ignore
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const dataRoot = join(folder, 'store/docker');
      await withDockerd({ version, dataRoot, containerdStore: true }, async (docker) => {
        expect(await docker.run('info', '--format', '{{.Driver}} {{json .DriverStatus}}')).toContain('io.containerd.snapshotter.v1'); // prettier-ignore
        await checkNames(docker);
        await checkRuns(docker);
        await checkSave(docker);
        await checkPull(docker, dataRoot);
        await checkRemove(docker, dataRoot);
      });
      await withDockerd({ version, dataRoot, containerdStore: true }, async (docker) => {
        expect(await docker.run('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe(`${HMI}:1.0`);
        expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain(UP.hmi);
      });
    });
    await checkFilesystem(partition);
  });
});

async function checkNames(docker: Docker): Promise<void> {
  const listed = await docker.run('images', '--digests', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}'); // prettier-ignore
  for (const [repository, { digest }] of [[GATEWAY, samples.gateway], [HMI, samples.hmi]] as const) {
    expect(listed).toContain(`${repository}:1.0 ${digest} ${digest}`);
    const digests = await docker.run('image', 'inspect', '--format', '{{json .RepoDigests}}', `${repository}@${digest}`);
    expect(JSON.parse(digests)).toEqual([`${repository}@${digest}`]);
  }
} // prettier-ignore

async function checkRuns(docker: Docker): Promise<void> {
  for (const name of [`${GATEWAY}:1.0`, `${GATEWAY}@${samples.gateway.digest}`, samples.gateway.digest]) {
    expect(await docker.run(...ONCE, '--pull', 'never', name)).toContain(UP.gateway);
  }
  expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain(UP.hmi);
}

/** What goes out again are the blobs that came in; their tars have the diff_ids. */
async function checkSave(docker: Docker): Promise<void> {
  for (const [name, sample] of [[`${GATEWAY}:1.0`, samples.gateway], [`${HMI}:1.0`, samples.hmi]] as const) {
    const archive = join(folder, 'saved.tar');
    await docker.run('save', '-o', archive, name);
    const { config, blobs } = await layersOf(sample);
    expect(await hashArchive(archive)).toEqual({ config, layers: blobs });
    await rm(archive);
  }
} // prettier-ignore

const SNAPSHOTS = 'containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots';
const snapshots = async (dataRoot: string) => (await readdir(join(dataRoot, SNAPSHOTS))).length;

async function checkPull(docker: Docker, dataRoot: string): Promise<void> {
  const before = await snapshots(dataRoot);
  await using registry = await serveSamples(samples);
  await docker.run('pull', '-q', `${registry.host}/acme/gateway:2.0`); // docker trusts a registry on the loopback address
  const [there, wanted] = [await layersOf(samples.gateway), await layersOf(samples.next)];
  expect(registry.pulled()).toEqual(expect.arrayContaining([wanted.config, wanted.blobs.at(-1)]));
  expect(registry.pulled().filter((digest) => there.blobs.includes(digest))).toEqual([]);
  expect(await snapshots(dataRoot)).toBe(before + 1);
  expect(await docker.run(...ONCE, `${registry.host}/acme/gateway:2.0`)).toContain(UP.next);
  await docker.run('rmi', `${registry.host}/acme/gateway:2.0`);
}

async function checkRemove(docker: Docker, dataRoot: string): Promise<void> {
  await docker.run('system', 'prune', '-f');
  await checkNames(docker);
  expect(await docker.run(...ONCE, `${GATEWAY}:1.0`)).toContain(UP.gateway);
  await docker.run('rmi', `${GATEWAY}:1.0`);
  expect(await docker.run('images', '-q', GATEWAY)).toBe('');
  expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain(UP.hmi);
  expect(await snapshots(dataRoot)).toBe((await layersOf(samples.hmi)).blobs.length);
}
