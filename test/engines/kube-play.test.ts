import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readComposeFile } from '@boxship/compose-spec';
import { k3sManifests, manifestText } from '../../libs/engines/src/k3s/manifests/manifests.ts';
import { podmanStore } from '../../libs/engines/src/podman/store.ts';
import { withPodman } from '../lab/podman.mjs';
import { whyNoEngine } from '../lab/root-session.mjs';
import { GATEWAY, HMI, makeSamples, type Samples } from './sample-images.ts';
import { EPOCH, withMount, writeStorePartition } from './store-partition.ts';

// No k3s can be had here. Another program that reads objects of Kubernetes is podman: it takes those that we make for k3s.

let folder = '';
let samples: Samples;
beforeAll(async () => {
  folder = join(tmpdir(), `boxship-kube-play-${process.pid}`);
  await mkdir(folder);
  samples = await makeSamples(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const COMPOSE = `services:
  gateway:
    image: ${GATEWAY}:1.0
    environment: { BOXSHIP_SITE: factory 7 }
    user: '1000:1000'
    restart: unless-stopped
    volumes: ['data:/data']
    configs: [{ source: site, target: /etc/site.conf }]
    healthcheck: { test: [CMD, test, -e, /opt/app/version], interval: 5s }
    cap_add: [NET_ADMIN]
    read_only: true
    tmpfs: [/tmp]
    mem_limit: 64m
    ports: ['8080:80']
  hmi:
    image: ${HMI}:1.0
    command: [once]
  watchdog:
    image: ${GATEWAY}:1.0
    network_mode: host
    privileged: true
    restart: always
volumes:
  data:
configs:
  site: { content: "line = 7\\n" }
`;

/** What podman says of a container, as far as it is looked at. */
interface Inspected {
  readonly ImageName: string;
  readonly Config: { readonly User: string; readonly Cmd: readonly string[]; readonly Env: readonly string[] };
  readonly Mounts: readonly { readonly Name?: string; readonly Destination: string; readonly RW: boolean; readonly SubPath?: string }[]; // prettier-ignore
  readonly HostConfig: {
    readonly CapAdd: readonly string[];
    readonly Memory: number;
    readonly Privileged: boolean;
    readonly ReadonlyRootfs: boolean;
    readonly Tmpfs: Readonly<Record<string, string>>;
    readonly RestartPolicy: { readonly Name: string };
  };
}

describe.skipIf(whyNoEngine())("objects that we make for k3s, given to podman's own reader of them", () => {
  it.each(['5.4', '5.8'] as const)(
    '%s: become pods, a volume and files, from the images that are there',
    async (version) => {
      const bytes = Buffer.from(COMPOSE);
      const app = readComposeFile({ path: join(folder, 'compose.yaml'), projectName: 'plant', bytes });
      const names = new Map(app.services.map(({ image }) => [image, image]));
      const file = join(folder, 'plant.yaml');
      await writeFile(file, manifestText(app, k3sManifests(app, names)));
      const partition = join(folder, 'store.img');
      await writeStorePartition(partition, podmanStore(samples.images, 'graphroot', { epoch: EPOCH }));
      await withMount(partition, join(folder, 'store'), 'rw', async () => {
        await withPodman({ version, graphRoot: join(folder, 'store/podman'), folders: [folder] }, async (podman) => {
          // made, not started: that takes control groups, which a booted device has
          await podman.run('kube', 'play', '--start=false', file);
          const lines = async (...words: string[]) => (await podman.run(...words)).split('\n').sort();
          expect(await lines('pod', 'ps', '--format', '{{.Name}}')).toEqual(['gateway-pod', 'hmi-pod', 'watchdog-pod']);
          const volumes = (await lines('volume', 'ls', '--format', '{{.Name}}')).filter(
            (name) => !/^[0-9a-f]{64}$/.test(name),
          ); // the image asks for one
          expect(volumes).toEqual(['gateway-files', expect.stringMatching(/^plant-data-[0-9a-f]{8}$/)]);
          const images = (await lines('images', '--format', '{{.Repository}}:{{.Tag}}')).filter((name) => !name.startsWith('localhost/podman-pause:')); // prettier-ignore
          expect(images).toEqual([`${GATEWAY}:1.0`, `${HMI}:1.0`]);

          const inspect = async (name: string) => (JSON.parse(await podman.run('inspect', name)) as [Inspected])[0];
          const gateway = await inspect('gateway-pod-gateway');
          expect(gateway).toMatchObject({
            ImageName: `${GATEWAY}:1.0`,
            Config: { User: '1000:1000' },
            HostConfig: {
              CapAdd: ['CAP_NET_ADMIN'],
              Memory: 64 << 20,
              ReadonlyRootfs: true,
              RestartPolicy: { Name: 'always' },
            },
          });
          expect(gateway.Config.Env).toContain('BOXSHIP_SITE=factory 7');
          expect(Object.keys(gateway.HostConfig.Tmpfs)).toEqual(['/tmp']);
          // podman lists them in no order
          const mounts = gateway.Mounts.toSorted((a, b) => (a.Destination < b.Destination ? -1 : 1));
          expect(mounts.map(({ Name, Destination, RW, SubPath }) => [Name, Destination, RW, SubPath])).toEqual([
            [expect.stringMatching(/^plant-data-/), '/data', true, undefined],
            ['gateway-files', '/etc/site.conf', false, 'file-0'],
          ]);
          const site = join(folder, 'store/podman/volumes/gateway-files/_data/file-0');
          expect(await readFile(site, 'utf8')).toBe('line = 7\n');
          const ports = await podman.run(
            'pod',
            'inspect',
            '--format',
            '{{json .InfraConfig.PortBindings}}',
            'gateway-pod',
          );
          expect(JSON.parse(ports)).toMatchObject({ '80/tcp': [{ HostPort: '8080' }] });
          const hmi = await inspect('hmi-pod-hmi');
          expect([hmi.Config.Cmd, hmi.HostConfig.RestartPolicy.Name]).toEqual([['once'], 'no']);
          expect((await inspect('watchdog-pod-watchdog')).HostConfig.Privileged).toBe(true);
          await podman.run('kube', 'down', file);
          expect(await podman.run('pod', 'ps', '-q')).toBe('');
        });
      });
    },
  );
});
