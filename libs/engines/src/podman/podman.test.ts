import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mountUnitName } from '@boxship/device-socket';
import type { App, DeviceFacts, Digest, EngineFacts, Service, UserError } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { exampleFacts } from '../example-facts.ts';
import { image, layer, textAt } from '../test-images.ts';
import { podmanSocket } from './socket.ts';
import { startPodmanApp } from './start.ts';
import { podmanStore } from './store.ts';
import { checkPodmanSettings, podmanWarnings } from './vendor-checks.ts';

const GOLDEN = new URL('../../../../test/golden/podman-units/', import.meta.url).pathname;
const IMAGE = 'registry.example.com/acme/gateway:1.0';
const IMAGE_ID: Digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

const deviceOf = (facts: DeviceFacts, imageStore?: string): EngineDevice => ({
  facts,
  engine: { name: 'podman', ...(imageStore === undefined ? {} : { imageStore }) },
});
const withPodman = (change: Partial<EngineFacts> = {}): DeviceFacts => ({
  ...exampleFacts,
  engines: [{ name: 'podman', version: '5.4.2', program: '/usr/bin/podman', composePlugin: false, ...change }],
});

const service = (name: string, rest: Partial<Service> = {}): Service => ({
  name,
  where: { file: 'compose.yaml', line: 3, column: 3 },
  image: IMAGE,
  environment: {},
  ports: [],
  mounts: [],
  networks: [{ name: 'gateway_default', aliases: [] }],
  dependsOn: [],
  restart: 'unless-stopped',
  labels: {},
  settings: {},
  ...rest,
});

const APP: App = {
  name: 'gateway',
  composeFile: 'compose.yaml',
  composeBytes: Buffer.from('name: gateway\n'),
  services: [
    service('broker', {
      mounts: [{ type: 'volume', source: 'gateway_data', target: '/data', readOnly: false }],
      ports: [{ published: '1883', target: '1883', protocol: 'tcp' }],
      healthcheck: { test: ['CMD', 'mosquitto_pub', '-t', 'health check'], interval: '10s' },
      settings: { user: '1000:1000', devices: [{ source: '/dev/ttyS1' }], stopGracePeriod: 20 },
    }),
    service('sensor', {
      dependsOn: [{ service: 'broker', condition: 'service_healthy', required: true }],
      restart: 'on-failure',
    }),
  ],
  volumes: [{ name: 'gateway_data', external: false, driverOptions: {} }],
  networks: [{ name: 'gateway_default', external: false, internal: false, driverOptions: {} }],
  files: [],
};
const unitsOf = (app: App) =>
  startPodmanApp(app, new Map([[IMAGE, IMAGE_ID]]), withPodman(), { epoch: 1_700_000_000, console: false });

describe('the units of an app', () => {
  it('are the golden tree', async () => {
    const paths = [...unitsOf(APP).entries()].filter(({ type }) => type === 'file').map(({ path }) => path);
    for (const path of paths) {
      await expect(await textAt(unitsOf(APP).entries(), path)).toMatchFileSnapshot(join(GOLDEN, path));
    }
    const golden = await readdir(GOLDEN, { recursive: true, withFileTypes: true });
    const names = golden.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(names.sort()).toEqual(paths.map((path) => join(GOLDEN, path)).sort());
  });

  it('are what starts it: there is no compose', () => {
    const start = () => startPodmanApp(APP, new Map([[IMAGE, IMAGE_ID]]), withPodman(), { epoch: 0, console: false, start: 'compose' }); // prettier-ignore
    expect(start).toThrow(/engine\.start is compose, which is for docker/);
  });

  it('refuse what podman has no word for, all at once, with the place', () => {
    const app: App = {
      ...APP,
      services: [
        service('a', { settings: { logging: { driver: 'local', options: {} }, domainname: 'example.com', storageOpt: { size: '1G' }, runtime: 'runc' } }),
        service('b', { networks: [{ name: 'gateway_default', aliases: [], linkLocalIps: ['169.254.1.1'] }] }),
      ],
      networks: [
        { name: 'gateway_x', external: false, internal: false, driver: 'overlay', attachable: true, driverOptions: {}, ipam: { options: { a: 'b' }, pools: [] } },
        { name: 'there', external: true, internal: false, driver: 'overlay', driverOptions: {} },
      ],
    }; // prettier-ignore
    let problems: UserError['problems'] = [];
    try {
      unitsOf(app);
    } catch (error) {
      problems = (error as UserError).problems;
    }
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['NOT_FOR_ENGINE']));
    expect(problems.map(({ message }) => message)).toEqual([
      'the service "a" asks for the log driver "local", which podman does not have',
      'the service "a" has a "domainname", which podman does not have',
      'the service "a" has a "storage_opt", which podman does not have',
      'the service "a" has a "runtime" for itself, which podman does not have',
      'the service "b" has "link_local_ips", which podman does not have',
      'the network "gateway_x" has the driver "overlay", which podman does not have',
      'the network "gateway_x" is "attachable", which podman does not have',
      'the network "gateway_x" has "aux_addresses" or "options" in its "ipam", which podman does not have',
    ]);
    expect(problems[0]!.where).toEqual({ file: 'compose.yaml', line: 3, column: 3 });
  });
});

describe('the store', () => {
  const json = async (images: Parameters<typeof podmanStore>[0], path: string) =>
    JSON.parse(await textAt(podmanStore(images, 'graphroot', { epoch: 1 }).state.entries(), path)) as Record<
      string,
      unknown
    >[];

  it('has one image for each configuration, with all its names and manifests', async () => {
    const one = image('docker.io/library/busybox:1.36', [layer('a')]);
    const same = { ...one, reference: 'registry.example.com/busybox:1', manifest: { ...one.manifest, digest: `sha256:${'d'.repeat(64)}` as const } }; // prettier-ignore
    const [found, ...others] = await json([one, same], 'podman/overlay-images/images.json');
    expect(others).toEqual([]);
    expect(found!['names']).toEqual([one.reference, same.reference]);
    expect(found!['big-data-names']).toEqual([
      one.config.digest,
      `manifest-${one.manifest.digest}`,
      `manifest-sha256:${'d'.repeat(64)}`,
      'manifest',
    ]);
  });

  it('names an image without a tag by its digest, and takes one without layers', async () => {
    const pinned = image(`docker.io/acme/tool@sha256:${'e'.repeat(64)}`, []);
    const [found] = await json([pinned], 'podman/overlay-images/images.json');
    expect(found!['names']).toEqual([pinned.reference]);
    expect(found).not.toHaveProperty('layer');
    expect(await json([pinned], 'podman/overlay-layers/layers.json')).toEqual([]);
  });

  it('lists a parent before its children, once', async () => {
    const base = layer('base');
    const layers = await json([image('a:1', [base, layer('a')]), image('b:1', [base, layer('b')])], 'podman/overlay-layers/layers.json'); // prettier-ignore
    expect(layers).toHaveLength(3);
    expect(layers.map(({ parent }) => parent)).toEqual([undefined, layers[0]!['id'], layers[0]!['id']]);
  });
});

describe('the base image', () => {
  it('is taken when it says nothing, or what we do', () => {
    checkPodmanSettings(deviceOf(withPodman()));
    const storageConfig = { file: '/etc/containers/storage.conf', driver: 'overlay', graphroot: '/var/lib/containers/storage/' }; // prettier-ignore
    checkPodmanSettings(deviceOf(withPodman({ storageConfig })));
  });

  it('is refused with all that collides', () => {
    const storageConfig = { file: '/etc/containers/storage.conf', driver: 'vfs', graphroot: '/srv', imagestore: '/images' }; // prettier-ignore
    const check = () => checkPodmanSettings(deviceOf(withPodman({ storageConfig })));
    expect(check).toThrow(/graphroot = "\/srv" \(\/etc\/containers\/storage\.conf\)[^]*driver = "vfs"[^]*imagestore = "\/images"/); // prettier-ignore
  });

  it.each([['4.2.1', 1], ['3.0.1', 1], ['4.3.1', 0], ['5.8.6', 0], ['10.0.0', 0], [undefined, 0]])(
    'with podman %s is warned of %i times', (version, count) => {
      const warnings = podmanWarnings(withPodman(version === undefined ? {} : { version }));
      expect(warnings.filter(({ code }) => code === 'PODMAN_UNTRIED')).toHaveLength(count);
    }); // prettier-ignore

  it('without netavark is refused when its podman is 4, which then does nothing, and warned of from 5 on', () => {
    const four = withPodman({ version: '4.3.1', netavark: false });
    expect(() => checkPodmanSettings(deviceOf(four))).toThrow(
      expect.objectContaining({ code: 'NETAVARK_MISSING' }) as Error,
    );
    checkPodmanSettings(deviceOf(withPodman({ version: '4.3.1', netavark: true })));
    checkPodmanSettings(deviceOf(withPodman({ netavark: false })));
    expect(podmanWarnings(withPodman({ netavark: false })).map(({ code }) => code)).toContain('NETAVARK_MISSING');
    expect(podmanWarnings(withPodman({ netavark: true })).map(({ code }) => code)).not.toContain('NETAVARK_MISSING');
  });

  it('mounts volumes inside of the graph root', () => {
    expect(podmanSocket('graphroot').mounts.map(({ at }) => mountUnitName(at))).toEqual(['var-lib-containers-storage.mount', 'var-lib-containers-storage-volumes.mount']); // prettier-ignore
  });
});
