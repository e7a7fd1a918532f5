import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerImage } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { treeOf } from '../../libs/engines/src/app-files.ts';
import { generatedFile } from '../../libs/engines/src/entries.ts';
import { podmanSocket } from '../../libs/engines/src/podman/socket.ts';
import { withAdditionalStore } from '../../libs/engines/src/podman/storage-conf.ts';
import { podmanStore } from '../../libs/engines/src/podman/store.ts';
import { PODMAN_SUITES, withPodman, type Podman, type PodmanVersion } from '../lab/podman.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import {
  GATEWAY,
  HMI,
  UP,
  hashArchive,
  layersOf,
  makeSamples,
  serveSamples,
  sha256,
  type Samples,
} from './sample-images.ts';
import {
  EPOCH,
  checkFilesystem,
  hashFolder,
  listFolder,
  openSample,
  withMount,
  writeStorePartition,
} from './store-partition.ts';

let folder = '';
let samples: Samples;
let partition = '';

beforeAll(async () => {
  folder = join(tmpdir(), `boxship-podman-test-${process.pid}`); // podman 4.3 makes a name of it: no capital letters
  await mkdir(folder);
  samples = await makeSamples(folder);
  partition = join(folder, 'store.img');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const versions = Object.keys(PODMAN_SUITES) as PodmanVersion[];
const RUN = ['run', '--rm', '--pull=never', '--cgroups=disabled', '--network=none', '-e', 'BOXSHIP_DEMO_ONCE=1']; // prettier-ignore
const layersIn = async (graphRoot: string) =>
  (await readdir(join(graphRoot, 'overlay'))).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort();

describe.skipIf(whyNoEngine())('a graph root, opened by a real podman', () => {
  it.each(versions)('%s: lives its whole life', async (version) => {
    await writeStorePartition(partition, podmanStore(samples.images, 'graphroot', { epoch: EPOCH }));
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const graphRoot = join(folder, 'store/podman');
      await withPodman({ version, graphRoot, folders: [folder] }, async (podman) => {
        await checkNames(podman);
        await checkRuns(podman);
        await checkSave(podman);
        await checkCommit(podman);
        await checkLoadAndPull(podman, graphRoot);
        await checkRemove(podman, graphRoot);
      });
      await withPodman({ version, graphRoot }, async (podman) => {
        expect(await podman.run('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe(`${HMI}:1.0`);
        expect(await podman.run(...RUN, `${HMI}:1.0`)).toContain(UP.hmi);
      });
    });
    await checkFilesystem(partition);
  });

  it.each(versions)('%s: is, layer by layer, what this podman makes of the same images', async (version) => {
    await writeStorePartition(partition, podmanStore(samples.images, 'graphroot', { epoch: EPOCH }));
    const theirs = join(folder, `theirs-${version}`);
    await withPodman({ version, graphRoot: theirs, folders: [folder] }, async (podman) => {
      for (const { folder: layout, name } of [samples.gateway, samples.hmi]) await podman.run('pull', '-q', `oci:${layout}:${name}`); // prettier-ignore
    });
    await withMount(partition, join(folder, 'store'), 'ro', async () => {
      const ours = join(folder, 'store/podman');
      const layers = await layersIn(ours);
      expect(layers).toEqual(await layersIn(theirs));
      for (const layer of layers) {
        const [a, b] = [join(ours, 'overlay', layer, 'diff'), join(theirs, 'overlay', layer, 'diff')];
        expect(await listFolder(a)).toEqual(await listFolder(b));
        expect(await hashFolder(a)).toEqual(await hashFolder(b));
      }
    });
    await rm(theirs, { recursive: true, force: true });
  });

  it.each(versions)('%s: an additional image store, which is read alone, under a graph root that outlives it', async (version) => {
    const graphRoot = join(folder, `graph-root-${version}`);
    const store = join(folder, 'store/podman');
    const withStore = async (images: readonly ContainerImage[], work: (podman: Podman) => Promise<void>) => {
      await writeStorePartition(partition, podmanStore(images, 'additional', { epoch: EPOCH }));
      const before = sha256(await readFile(partition));
      const storageConf = (text: string) => withAdditionalStore(text, store)!;
      await withMount(partition, join(folder, 'store'), 'ro', () => withPodman({ version, graphRoot, storageConf, folders: [folder] }, work));
      expect(sha256(await readFile(partition))).toBe(before);
    };
    await withStore(samples.images, async (podman) => {
      await checkNames(podman);
      expect(await podman.run('images', '--format', '{{.ReadOnly}}')).toBe('true\ntrue');
      await checkRuns(podman);
      await checkSave(podman);
      await checkCommit(podman);
      expect(await layersIn(graphRoot)).toEqual([]);
      await checkLoadAndPull(podman, graphRoot);
      expect(await layersIn(graphRoot)).toHaveLength(1); // the others are in the store
      for (const words of [['rmi', `${GATEWAY}:1.0`], ['rmi', '-f', `${GATEWAY}:1.0`]]) {
        expect(await podman.fails(...words)).toContain('cannot remove read-only image');
      }
      await podman.run('system', 'prune', '-a', '-f');
      expect(await layersIn(graphRoot)).toEqual([]);
      await checkNames(podman);
      await checkRuns(podman);
      // what a power cut leaves behind
      await podman.run(...RUN.filter((word) => word !== '--rm'), '--name=app', `${GATEWAY}:1.0`);
    });
    const next = await openSample(samples.next, `${GATEWAY}:2.0`, join(folder, 'cache'));
    await withStore([samples.images[1]!, next], async (podman) => {
      expect(await podman.run('ps', '-a', '--format', '{{.Names}} {{.Image}}')).toBe(`app ${GATEWAY}:1.0`);
      expect(await podman.run(...RUN, '--replace', '--name=app', `${GATEWAY}:2.0`)).toContain(UP.next);
      expect(await podman.run('ps', '-a', '-q')).toBe('');
      const images = await podman.run('images', '--format', '{{.Repository}}:{{.Tag}}');
      expect(images.split('\n').sort()).toEqual([`${GATEWAY}:2.0`, `${HMI}:1.0`]);
    });
    await rm(graphRoot, { recursive: true, force: true });
  }); // prettier-ignore

  it.each(versions)('%s: starts where no store is mounted, on a root that cannot be written', async (version) => {
    const { at, unmounted = [] } = podmanSocket('additional').mounts[0]!;
    const files = unmounted.map((path) => generatedFile(`${at.slice(1)}/${path}`, '', 0o644, EPOCH));
    const rootfs = treeOf(files, EPOCH);
    await writeStorePartition(partition, { state: rootfs, layers: { entries: () => [] } });
    const graphRoot = join(folder, `alone-${version}`);
    const storageConf = (text: string) => withAdditionalStore(text, join(folder, 'root', at))!;
    await withMount(partition, join(folder, 'root'), 'ro', () =>
      withPodman({ version, graphRoot, storageConf, folders: [folder] }, async (podman) => {
        expect(await podman.run('images', '-q')).toBe('');
        await podman.run('pull', '-q', `oci:${samples.hmi.folder}:${samples.hmi.name}`);
        expect(await podman.run(...RUN, (await layersOf(samples.hmi)).config)).toContain(UP.hmi);
      }),
    );
    await rm(graphRoot, { recursive: true, force: true });
  }); // prettier-ignore
});

async function checkNames(podman: Podman): Promise<void> {
  const listed = await podman.run('images', '--digests', '--format', '{{.Repository}}:{{.Tag}} {{.Digest}}');
  for (const [repository, { digest, manifest }] of [[GATEWAY, samples.gateway], [HMI, samples.hmi]] as const) {
    expect(listed).toContain(`${repository}:1.0 ${manifest}`);
    const format = '{{json .RepoDigests}}';
    for (const name of [`${repository}:1.0`, `${repository}@${digest}`, `${repository}@${manifest}`]) {
      const digests = JSON.parse(await podman.run('image', 'inspect', '--format', format, name)) as string[];
      expect(digests.sort()).toEqual([...new Set([`${repository}@${digest}`, `${repository}@${manifest}`])].sort());
    }
  }
} // prettier-ignore

async function checkRuns(podman: Podman): Promise<void> {
  const { digest, manifest } = samples.gateway;
  for (const name of [`${GATEWAY}:1.0`, `${GATEWAY}@${digest}`, `${GATEWAY}@${manifest}`, (await layersOf(samples.gateway)).config]) {
    expect(await podman.run(...RUN, name)).toContain(UP.gateway);
  }
  expect(await podman.run(...RUN, `${HMI}:1.0`)).toContain(UP.hmi);
} // prettier-ignore

/** What goes out again is, layer by layer, the bytes that came in. */
async function checkSave(podman: Podman): Promise<void> {
  for (const [name, sample] of [[`${GATEWAY}:1.0`, samples.gateway], [`${HMI}:1.0`, samples.hmi]] as const) {
    const archive = join(folder, 'saved.tar');
    await podman.run('save', '-q', '-o', archive, name);
    const { config, diffIds } = await layersOf(sample);
    expect(await hashArchive(archive)).toEqual({ config, layers: diffIds });
    await rm(archive);
  }
} // prettier-ignore

async function checkCommit(podman: Podman): Promise<void> {
  const options = ['--cgroups=disabled', '--network=none', '--entrypoint=/bin/sh'];
  const change = 'rm /opt/app/kept.txt && echo changed >/opt/app/new.txt';
  await podman.run('run', '--name=changed', ...options, `${GATEWAY}:1.0`, '-c', change);
  await podman.run('commit', '-q', 'changed', 'localhost/changed:1');
  await podman.run('rm', 'changed');
  const look = 'ls /opt/app/kept.txt 2>&1; cat /opt/app/new.txt';
  expect(await podman.run('run', '--rm', ...options, 'localhost/changed:1', '-c', look)).toMatch(/No such file[^]*changed/); // prettier-ignore
  await podman.run('rmi', 'localhost/changed:1');
}

/** Version 2.0 differs in its last layer alone: the others must be recognised as there, from an archive and a registry. */
async function checkLoadAndPull(podman: Podman, graphRoot: string): Promise<void> {
  const before = await layersIn(graphRoot);
  await podman.run('pull', '-q', `oci:${samples.next.folder}:${samples.next.name}`);
  const after = await layersIn(graphRoot);
  expect(after.filter((name) => !before.includes(name))).toHaveLength(1);
  expect(before.filter((name) => !after.includes(name))).toEqual([]);
  await podman.run('rmi', (await layersOf(samples.next)).config);
  expect(await layersIn(graphRoot)).toEqual(before);

  await using registry = await serveSamples(samples);
  const name = `${registry.host}/acme/gateway:2.0`;
  await podman.run('pull', '-q', '--tls-verify=false', name);
  const { config, blobs } = await layersOf(samples.next);
  expect(registry.pulled()).toEqual([config, blobs.at(-1)].sort());
  expect(await podman.run(...RUN, name)).toContain(UP.next);
}

/** Layers that another image needs stay, the others go. */
async function checkRemove(podman: Podman, graphRoot: string): Promise<void> {
  await podman.run('rmi', (await layersOf(samples.next)).config);
  await podman.run('image', 'prune', '-f'); // dangling ones alone: there are none
  if (podman.version === '5.8') expect(await podman.run('system', 'check')).toBe('');
  await checkNames(podman);
  expect(await podman.run(...RUN, `${GATEWAY}:1.0`)).toContain(UP.gateway);
  await podman.run('rmi', `${GATEWAY}:1.0`);
  expect(await podman.run('images', '-q', GATEWAY)).toBe('');
  expect(await layersIn(graphRoot)).toHaveLength((await layersOf(samples.hmi)).blobs.length);
  expect(await podman.run(...RUN, `${HMI}:1.0`)).toContain(UP.hmi);
}
