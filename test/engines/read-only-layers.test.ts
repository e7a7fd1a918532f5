import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preload } from '@boxship/engines';
import type { TreeEntry } from '@boxship/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultNamespace } from '../../libs/engines/src/containerd-store/namespaces.ts';
import { containerdStore } from '../../libs/engines/src/containerd-store/store.ts';
import { dockerStore } from '../../libs/engines/src/docker/store.ts';
import { CONTAINERD_VERSIONS, withContainerd } from '../lab/containerd.mjs';
import { DOCKER_SUITES, withDockerd, type DockerVersion } from '../lab/engine-roots.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, UP, hashArchive, layersOf, makeSamples, type Samples } from './sample-images.ts';
import { EPOCH, withMount, writeStorePartition } from './store-partition.ts';

// docs/decisions/layers-on-a-read-only-filesystem.md: can the layers lie on a read-only filesystem, under a writable state?
// (podman's way, an additional image store, is in podman.test.ts.)

let folder = '';
let samples: Samples;
beforeAll(async () => {
  folder = join(tmpdir(), `boxship-read-only-test-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The same store with the contents of the layers left out, and a link to them on another filesystem in their place. */
function linked({ state, layers, ...rest }: Preload, isLayer: RegExp, at: string): Preload {
  return {
    ...rest,
    state,
    layers: {
      *entries(): Iterable<TreeEntry> {
        for (const entry of layers.entries()) {
          const root = isLayer.exec(entry.path)?.[0];
          if (root === undefined) yield entry;
          else if (root === entry.path) {
            const { xattrs: _, ...attributes } = entry;
            yield { ...attributes, type: 'symlink', mode: 0o777, size: 0, link: `${at}/${root}` };
          }
        }
      },
    },
  };
}

async function withBoth(preload: Preload, isLayer: RegExp, work: () => Promise<void>): Promise<void> {
  const [sealed, state] = [join(folder, 'sealed'), join(folder, 'state')];
  await writeStorePartition(`${sealed}.img`, preload);
  await writeStorePartition(`${state}.img`, linked(preload, isLayer, sealed));
  await withMount(`${sealed}.img`, sealed, 'ro', () => withMount(`${state}.img`, state, 'rw', work));
}

const ONCE = ['run', '--rm', '--network', 'none', '-e', 'BOXSHIP_DEMO_ONCE=1'];

describe.skipIf(whyNoEngine())('layers on a read-only filesystem, linked from a writable store', () => {
  it.each(Object.keys(DOCKER_SUITES) as DockerVersion[])('docker %s, overlay2: runs, saves, commits, removes', async (version) => {
    const preload = dockerStore(samples.images, { epoch: EPOCH });
    await withBoth(preload, /^docker\/overlay2\/[0-9a-f]{64}\/diff/, async () => {
      await withDockerd({ version, dataRoot: join(folder, 'state/docker'), folders: [join(folder, 'sealed')] }, async (docker) => {
        expect(await docker.run(...ONCE, `${GATEWAY}:1.0`)).toContain(UP.gateway);
        expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain(UP.hmi);
        const archive = join(folder, 'saved.tar');
        await docker.run('save', '-o', archive, `${GATEWAY}:1.0`);
        const { config, diffIds } = await layersOf(samples.gateway);
        expect(await hashArchive(archive)).toEqual({ config, layers: diffIds });
        await docker.run('run', '--name', 'changed', '--network', 'none', '--entrypoint', '/bin/sh', `${GATEWAY}:1.0`, '-c', 'rm /opt/app/kept.txt');
        await docker.run('commit', 'changed', 'local/changed:1');
        await docker.run('rm', 'changed');
        await docker.run('rmi', 'local/changed:1', `${GATEWAY}:1.0`);
        expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain(UP.hmi);
      });
    });
  }); // prettier-ignore

  it.each(Object.keys(CONTAINERD_VERSIONS))('containerd %s: runs and removes', async (version) => {
    const preload = containerdStore(samples.images, { epoch: EPOCH, root: 'containerd', namespace: defaultNamespace });
    await withBoth(preload, /^containerd\/.*\/snapshots\/\d+\/fs/, async () => {
      const folders = [join(folder, 'sealed')];
      await withContainerd({ version, state: join(folder, 'state/containerd'), folders }, async ({ ctr }) => {
        const run = (name: string) => ctr('run', '--rm', '--allow-new-privs', '--env=BOXSHIP_DEMO_ONCE=1', name, 'c');
        await run(`${GATEWAY}:1.0`); // ends with 1 when a check fails
        await run(`${HMI}:1.0`);
        await ctr('images', 'rm', '--sync', `${GATEWAY}:1.0`);
        await run(`${HMI}:1.0`);
      });
    });
  });
});
