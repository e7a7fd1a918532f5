import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '@boxship/model';
import { ctrRunArguments } from '../../libs/engines/src/containerd/start.ts';
import { defaultNamespace } from '../../libs/engines/src/containerd-store/namespaces.ts';
import { containerdStore } from '../../libs/engines/src/containerd-store/store.ts';
import { CONTAINERD_VERSIONS, withContainerd, type Containerd, type ContainerdVersion } from '../lab/containerd.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, UP, layersOf, makeSamples, serveSamples, sha256, type Samples } from './sample-images.ts';
import { EPOCH, checkFilesystem, hashFolder, listFolder, withMount, writeStorePartition } from './store-partition.ts';

let folder = '';
let samples: Samples;
let partition = '';

beforeAll(async () => {
  folder = join(tmpdir(), `boxship-containerd-test-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
  partition = join(folder, 'store.img');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const versions = Object.keys(CONTAINERD_VERSIONS) as ContainerdVersion[];
const writeStore = () =>
  writeStorePartition(
    partition,
    containerdStore(samples.images, { epoch: EPOCH, root: 'containerd', namespace: defaultNamespace }),
  );
const words = (text: string) => text.split('\n').slice(1).map((line) => line.trim().split(/\s+/)); // prettier-ignore
const SNAPSHOTS = 'io.containerd.snapshotter.v1.overlayfs/snapshots';

describe.skipIf(whyNoEngine())("containerd's root, opened by a real containerd", () => {
  it.each(versions)('%s: lives its whole life', async (version) => {
    await writeStore();
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const state = join(folder, 'store/containerd');
      await withContainerd({ version, state, folders: [folder] }, async (containerd) => {
        await checkNames(containerd);
        await checkContent(containerd);
        await checkRuns(containerd);
        await collectGarbage(containerd);
        await checkNames(containerd);
        await checkContent(containerd);
        await checkExport(containerd);
        await checkPull(containerd, state);
        await checkRemove(containerd, state);
      });
      await withContainerd({ version, state, folders: [folder] }, async (containerd) => {
        expect(words(await containerd.ctr('images', 'ls')).map(([name]) => name)).toEqual([`${HMI}:1.0`]);
        expect(await run(containerd, `${HMI}:1.0`)).toContain(UP.hmi);
      });
    });
    await checkFilesystem(partition);
  });

  it.each(versions)(
    '%s: needs no compressed layers: runs, collects garbage, takes what is new from a registry',
    async (version) => {
      const preload = containerdStore(samples.images, { epoch: EPOCH, root: 'containerd', namespace: defaultNamespace, keepLayerBlobs: false }); // prettier-ignore
      await writeStorePartition(partition, preload);
      await withMount(partition, join(folder, 'store'), 'rw', async () => {
        const state = join(folder, 'store/containerd');
        await withContainerd({ version, state, folders: [folder] }, async (containerd) => {
          const { ctr } = containerd;
          const [gateway, hmi] = [await layersOf(samples.gateway), await layersOf(samples.hmi)];
          const documents = [samples.gateway.digest, samples.gateway.manifest, samples.hmi.manifest, gateway.config, hmi.config]; // prettier-ignore
          const held = async () =>
            words(await ctr('content', 'ls'))
              .map(([digest]) => digest!)
              .toSorted();
          expect(await held()).toEqual([...new Set(documents)].toSorted());
          await checkRuns(containerd);
          await collectGarbage(containerd);
          expect(await held()).toEqual([...new Set(documents)].toSorted());
          const snapshots = async () => words(await ctr('snapshots', 'ls')).length;
          const before = await snapshots();
          await checkRuns(containerd);

          await using registry = await serveSamples(samples);
          await ctr('images', 'pull', '--plain-http', `${registry.host}/acme/gateway:2.0`);
          expect(await snapshots()).toBe(before + 1);
          expect(await run(containerd, `${registry.host}/acme/gateway:2.0`)).toContain(UP.next);
          await ctr('images', 'rm', '--sync', `${registry.host}/acme/gateway:2.0`, `${GATEWAY}:1.0`);
          expect(await run(containerd, `${HMI}:1.0`)).toContain(UP.hmi);
          expect(await snapshots()).toBe(hmi.blobs.length);
        });
      });
      await checkFilesystem(partition);
    },
  );

  it.each(versions)('%s: runs a container with every option that the units give to ctr', async (version) => {
    await writeStore();
    await withMount(partition, join(folder, 'store'), 'rw', async () => {
      const state = join(folder, 'store/containerd');
      const data = join(folder, 'data');
      await mkdir(data, { recursive: true });
      await withContainerd({ version, state, folders: [folder] }, async ({ ctr }) => {
        const app = appWith(version, data);
        const log = join(folder, `options-${version}`);
        await ctr('run', `--log-uri=file://${log}`, ...ctrRunArguments(app, app.services[0]!));
        const said = await readFile(log, 'utf8');
        expect(said).toContain(UP.gateway);
        expect(await readFile(join(data, 'starts'), 'utf8')).toBe('1.0\n');
      });
      await rm(data, { recursive: true });
    });
  });

  it.each(versions)('%s: is, layer by layer, what this containerd makes of the same images', async (version) => {
    await writeStore();
    const theirs = join(folder, `theirs-${version}`);
    await using registry = await serveSamples(samples);
    await withContainerd({ version, state: theirs }, async ({ ctr }) => {
      for (const name of ['gateway', 'hmi']) await ctr('images', 'pull', '--plain-http', `${registry.host}/acme/${name}:1.0`); // prettier-ignore
    });
    await withMount(partition, join(folder, 'store'), 'ro', async () => {
      const ours = join(folder, 'store/containerd');
      const [mine, other] = [await snapshotsOf(ours), await snapshotsOf(theirs)];
      expect(mine).toEqual(other);
      expect(mine).toHaveLength(8);
    });
    await rm(theirs, { recursive: true, force: true });
  });
});

/** A service that asks for all that `ctr run` of this version has a word for. */
function appWith(version: ContainerdVersion, data: string): App {
  const young = { ...(version === '1.6' ? {} : { user: '0:0', hostname: 'device' }), ...(version === '2.1' ? { cpuset: '0' } : {}) }; // prettier-ignore
  return {
    name: 'app', composeFile: 'compose.yaml', composeBytes: new Uint8Array(), files: [], networks: [],
    volumes: [],
    services: [{
      name: 'a', where: { file: 'compose.yaml' }, image: `${GATEWAY}:1.0`, networkMode: 'host', networks: [], ports: [], dependsOn: [],
      restart: 'no', labels: { 'org.example.a': 'x,y' }, environment: { BOXSHIP_DEMO_ONCE: '1', LIST: 'a,b', QUOTED: '"q" $HOME', EMPTY: '' },
      mounts: [
        { type: 'bind', source: data, target: '/data', readOnly: false },
        { type: 'bind', source: '/etc', target: '/mnt/a,b', readOnly: true },
        { type: 'tmpfs', target: '/scratch', size: 1 << 20, mode: 0o1777 },
      ],
      settings: {
        ...young, workingDir: '/', capAdd: ['SYS_TIME'], capDrop: ['MKNOD'], ipc: 'host', pid: 'host', uts: 'host', cgroup: 'host',
        devices: [{ source: '/dev/null' }], cpuShares: 512, memLimit: 64 << 20, shmSize: 1 << 20, tmpfs: ['/run:size=1m'],
        annotations: { 'org.example.b': 'y' }, securityOpt: ['seccomp=unconfined'],
      },
    }],
  };
} // prettier-ignore

/** What lies in each snapshot, whatever number it has. */
async function snapshotsOf(state: string): Promise<string[]> {
  const found: string[] = [];
  for (const id of await readdir(join(state, SNAPSHOTS))) {
    const place = join(state, SNAPSHOTS, id);
    const { stdout } = await runProgram('find', [place, '-maxdepth', '1', '-printf', '%y %m %U:%G %P;'], {});
    const about = stdout.toString().replace(/;$/, '').split(';').sort();
    found.push(JSON.stringify([about, await listFolder(join(place, 'fs')), await hashFolder(join(place, 'fs'))], null, 1)); // prettier-ignore
  }
  return found.sort();
}

async function checkNames({ ctr }: Containerd): Promise<void> {
  const listed = words(await ctr('images', 'ls'));
  expect(listed.map(([name, , digest]) => [name, digest])).toEqual([
    [`${GATEWAY}:1.0`, samples.gateway.digest],
    [`${HMI}:1.0`, samples.hmi.digest],
  ]);
  for (const line of words(await ctr('images', 'check'))) {
    expect(line.join(' ')).toMatch(/complete \((\d)\/\1\) .* true$/); // every blob is there, and unpacked
  }
}

/** Every blob has the digest that it is listed with. */
async function checkContent({ ctr, session, socket }: Containerd): Promise<void> {
  const digests = words(await ctr('content', 'ls')).map(([digest]) => digest!);
  const wanted = [samples.gateway, samples.hmi].map(layersOf);
  const blobs = (await Promise.all(wanted)).flatMap(({ config, blobs: layers }) => [config, ...layers]);
  const documents = [samples.gateway.digest, samples.gateway.manifest, samples.hmi.manifest];
  expect(digests.toSorted()).toEqual([...new Set([...blobs, ...documents])].toSorted());
  for (const digest of digests) {
    expect(sha256(await session.run('ctr', ['-a', socket, 'content', 'get', digest]))).toBe(digest);
  }
}

let containers = 0;

/** What a container prints; not through ctr, which may lose what is printed at the very end. */
async function run({ ctr }: Containerd, name: string): Promise<string> {
  const id = `c${(containers += 1)}`;
  const log = join(folder, id);
  // docker and podman let a program gain the capabilities of its file; ctr has to be told
  await ctr('run', '--rm', '--allow-new-privs', '--env=BOXSHIP_DEMO_ONCE=1', `--log-uri=file://${log}`, name, id);
  return await readFile(log, 'utf8');
}

async function checkRuns(containerd: Containerd): Promise<void> {
  expect(await run(containerd, `${GATEWAY}:1.0`)).toContain(UP.gateway);
  expect(await run(containerd, `${HMI}:1.0`)).toContain(UP.hmi);
}

/** Removing a lease synchronously runs the garbage collector, which takes what no image refers to. */
async function collectGarbage({ ctr }: Containerd): Promise<void> {
  await ctr('leases', 'create', '--id', 'rubbish');
  await ctr('leases', 'rm', '--sync', 'rubbish');
}

/** What goes out again are the very blobs that came in. */
async function checkExport({ ctr }: Containerd): Promise<void> {
  for (const [name, sample] of [[`${GATEWAY}:1.0`, samples.gateway], [`${HMI}:1.0`, samples.hmi]] as const) {
    const archive = join(folder, 'exported.tar');
    await ctr('images', 'export', '--platform', 'linux/amd64', archive, name);
    const { config, blobs } = await layersOf(sample);
    for (const digest of [config, ...blobs, sample.manifest]) {
      const { stdout } = await runProgram('tar', ['-x', '-O', '-f', archive, `blobs/sha256/${digest.slice(7)}`]);
      expect(sha256(stdout)).toBe(digest);
    }
    await rm(archive);
  }
} // prettier-ignore

const snapshotFolders = async (state: string) => (await readdir(join(state, SNAPSHOTS))).length;

/** Version 2.0 differs in its last layer alone: the others must be recognised as there, from a registry and an archive. */
async function checkPull(containerd: Containerd, state: string): Promise<void> {
  const { ctr } = containerd;
  const before = await snapshotFolders(state);
  await using registry = await serveSamples(samples);
  const name = `${registry.host}/acme/gateway:2.0`;
  await ctr('images', 'pull', '--plain-http', name);
  const [there, wanted] = [await layersOf(samples.gateway), await layersOf(samples.next)];
  expect(registry.pulled()).toEqual(expect.arrayContaining([wanted.config, wanted.blobs.at(-1)]));
  expect(registry.pulled().filter((digest) => there.blobs.includes(digest))).toEqual([]);
  expect(await snapshotFolders(state)).toBe(before + 1);
  expect(await run(containerd, name)).toContain(UP.next);
  await ctr('images', 'rm', '--sync', name);
  expect(await snapshotFolders(state)).toBe(before);

  const archive = join(folder, 'next.tar');
  await runProgram('tar', ['-c', '-f', archive, '-C', samples.next.folder, '.']);
  await ctr('images', 'import', '--base-name', GATEWAY, '--platform', 'linux/amd64', archive);
  await rm(archive);
  expect(await snapshotFolders(state)).toBe(before + 1);
  expect(await run(containerd, `${GATEWAY}:2.0`)).toContain(UP.next);
}

/** Layers that another image needs stay, the others go. */
async function checkRemove(containerd: Containerd, state: string): Promise<void> {
  const { ctr } = containerd;
  await ctr('images', 'rm', '--sync', `${GATEWAY}:2.0`);
  await checkNames(containerd);
  expect(await run(containerd, `${GATEWAY}:1.0`)).toContain(UP.gateway);
  await ctr('images', 'rm', '--sync', `${GATEWAY}:1.0`);
  const { config, blobs } = await layersOf(samples.hmi);
  expect(words(await ctr('content', 'ls')).map(([digest]) => digest!).toSorted()).toEqual([config, samples.hmi.manifest, ...blobs].toSorted()); // prettier-ignore
  expect(await snapshotFolders(state)).toBe(blobs.length);
  expect(await run(containerd, `${HMI}:1.0`)).toContain(UP.hmi);
}
