import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deployment, DaemonSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import {
  ConfigMap,
  Namespace,
  PersistentVolume,
  PersistentVolumeClaim,
  Service as KubernetesService,
} from 'kubernetes-models/v1';
import type { UserError } from '@boxship/model';
import { type App, type Service } from '@boxship/model';
import { IMAGE, NASTY, service as sample } from '../../example-app.ts';
import type { Json } from './json.ts';
import { k3sManifests, manifestText } from './manifests.ts';

const GOLDEN = new URL('../../../../../test/golden/k3s-manifests/', import.meta.url).pathname;
const NAMES = new Map([[IMAGE, 'docker.io/library/busybox:1.36']]);
const service = (name: string, rest: Partial<Service> = {}) =>
  sample(name, { networks: [{ name: 'plant_default', aliases: [] }], restart: 'always', ...rest });
const FOLDER = '/run/boxship/store/apps/plant';

/** Everything that a pod has a word for. */
const PLANT: App = {
  name: 'plant',
  composeFile: 'compose.yaml',
  composeBytes: Buffer.from(''),
  files: [
    { path: 'configs/site', mode: 0o440, bytes: Buffer.from('a = 1\n') },
    { path: 'files/logo.png', mode: 0o644, bytes: Buffer.from([0x89, 0x50, 0, 0xff]) },
    { path: 'files/theme/one', mode: 0o644, bytes: Buffer.from('1') },
  ],
  volumes: [{ name: 'plant_data', external: false, driverOptions: {} }, { name: 'plant_fast', external: false, driverOptions: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' } }],
  networks: [{ name: 'plant_default', external: false, internal: false, driverOptions: {} }, { name: 'plant_back', external: false, internal: true, driverOptions: {} }],
  services: [
    service('web', {
      image: IMAGE, entrypoint: ['/bin/web', '-v'], command: [NASTY], environment: { MESSAGE: NASTY, EMPTY: '' },
      ports: [{ hostIp: '127.0.0.1', published: '8080-8081', target: '80-81', protocol: 'tcp' }, { published: '53', target: '53', protocol: 'udp' }],
      networks: [{ name: 'plant_default', aliases: ['front'] }, { name: 'plant_back', aliases: [] }],
      mounts: [
        { type: 'volume', source: 'plant_data', target: '/data', readOnly: false }, { type: 'volume', source: 'plant_fast', target: '/fast', readOnly: false },
        { type: 'volume', source: '', target: '/scratch', readOnly: false }, { type: 'tmpfs', target: '/tmp', size: 1048576 },
        { type: 'bind', source: `${FOLDER}/configs/site`, target: '/etc/site', readOnly: true }, { type: 'bind', source: `${FOLDER}/files/logo.png`, target: '/logo.png', readOnly: true },
        { type: 'bind', source: `${FOLDER}/files/theme`, target: '/theme', readOnly: true }, { type: 'bind', source: '/srv', target: '/srv', readOnly: false, propagation: 'rslave' },
      ],
      secrets: [{ name: 'token', target: '/run/secrets/token', place: { from: 'data', path: '/run/boxship/data/secrets/plant/token' } }],
      healthcheck: { test: ['CMD', 'curl', 'localhost'], interval: '1m30s', timeout: '500ms', retries: 4 },
      dependsOn: [{ service: 'migrate', condition: 'service_completed_successfully', required: true }, { service: 'worker', condition: 'service_started', required: true }],
      labels: { 'org.example.note': 'a' },
      settings: {
        user: '1000:1001', groupAdd: ['44'], hostname: 'web', workingDir: '/srv', init: true, tty: true, stdinOpen: true, readOnly: true,
        capAdd: ['NET_ADMIN'], capDrop: ['ALL'], securityOpt: ['no-new-privileges:true', 'apparmor=unconfined'], cpus: '0.5', cpuShares: 512,
        memLimit: 67108864, memReservation: 1048576, shmSize: 65536, sysctls: { 'net.ipv4.tcp_syncookies': '1' }, tmpfs: ['/run:size=1m', '/cache'],
        dns: ['192.0.2.53'], dnsOpt: ['ndots:2', 'use-vc'], dnsSearch: ['example.com'], extraHosts: [{ name: 'plc', address: '192.0.2.7' }],
        expose: ['3000'], annotations: { 'org.example.a': '1' }, stopGracePeriod: 90, ipc: 'shareable', cgroup: 'private', usernsMode: 'host', platform: 'linux/amd64',
      },
    }),
    service('worker', { networks: [{ name: 'plant_back', aliases: [] }], restart: 'on-failure', restartMaxAttempts: 3, healthcheck: { test: ['CMD-SHELL', 'true || false'] } }),
    service('migrate', { restart: 'no', command: ['/bin/migrate'], entrypoint: [], networks: [] }),
    service('once', { restart: 'no', networks: [], networkMode: 'none' }),
    service('driver', { networks: [], networkMode: 'host', settings: { privileged: true, devices: [{ source: '/dev/i2c-1' }], deviceCgroupRules: ['c 81:* rmw'], ipc: 'host', pid: 'host', uts: 'host' }, dependsOn: [{ service: 'web', condition: 'service_healthy', required: true }] }),
  ],
}; // prettier-ignore

const KINDS: Readonly<Record<string, { readonly module: string; readonly make: new (data: never) => { validate(): void } }>> = {
  ConfigMap: { module: 'v1', make: ConfigMap }, DaemonSet: { module: 'apps/v1', make: DaemonSet }, Deployment: { module: 'apps/v1', make: Deployment },
  Job: { module: 'batch/v1', make: Job }, Namespace: { module: 'v1', make: Namespace }, NetworkPolicy: { module: 'networking.k8s.io/v1', make: NetworkPolicy },
  PersistentVolume: { module: 'v1', make: PersistentVolume }, PersistentVolumeClaim: { module: 'v1', make: PersistentVolumeClaim }, Service: { module: 'v1', make: KubernetesService },
}; // prettier-ignore

type Document = { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace?: string } } & { readonly [key: string]: Json }; // prettier-ignore
const documentsOf = (app: App) => k3sManifests(app, NAMES) as unknown as readonly Document[];

let folder = '';
beforeAll(async () => {
  // below the project, so that its types are found
  folder = await mkdtemp(
    join(new URL('../../../../../node_modules/', import.meta.url).pathname, '.boxship-manifests-'),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the types of the Kubernetes API say of documents, fields that it does not know included. */
async function complaintsOf(documents: readonly Document[]): Promise<string[]> {
  const file = join(folder, 'documents.ts');
  const lines = documents.map((document, index) => `export const d${index}: import('kubernetes-models/${KINDS[document.kind]!.module}').I${document.kind} = ${JSON.stringify(document)};`); // prettier-ignore
  await writeFile(file, lines.join('\n'));
  const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022 }); // prettier-ignore
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

describe('an app as objects of Kubernetes', () => {
  it('is the golden file', async () => {
    await expect(manifestText(PLANT, documentsOf(PLANT))).toMatchFileSnapshot(join(GOLDEN, 'plant.yaml'));
  });

  it('has the schema of the Kubernetes API, and no field that it does not know', async () => {
    const documents = documentsOf(PLANT);
    for (const document of documents) expect(() => new KINDS[document.kind]!.make(document as never).validate(), document.metadata.name).not.toThrow(); // prettier-ignore
    const wrong = structuredClone(documents.find(({ kind }) => kind === 'Deployment')!) as unknown as { spec: { template: { spec: Record<string, unknown> } } }; // prettier-ignore
    wrong.spec.template.spec['imagePulPolicy'] = 'Never'; // so that silence means something
    expect(await complaintsOf([...documents, wrong as unknown as Document])).toEqual([expect.stringContaining("'\"imagePulPolicy\"' does not exist in type 'IPodSpec'")]); // prettier-ignore
  });

  it('has each object once, in its namespace, and pulls nothing', () => {
    const documents = documentsOf(PLANT);
    const names = documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, metadata } of documents) expect(metadata.namespace, kind).toBe(['Namespace', 'PersistentVolume'].includes(kind) ? undefined : 'plant'); // prettier-ignore
    const text = JSON.stringify(documents);
    expect(text.match(/"image":/g)).toHaveLength(text.match(/"imagePullPolicy":"Never"/g)!.length);
    expect(text).not.toContain('"kind":"Secret"'); // what is secret is on the device alone
  });

  it('has a namespace of its own, whatever the app is called', () => {
    const namespaceOf = (name: string) => documentsOf({ ...PLANT, name })[0]!.metadata.name;
    const names = ['plant-a', 'plant_a', 'plant.a'].map(namespaceOf);
    expect(names[0]).toBe('plant-a');
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/); // RFC 1123 label
  });

  it('keeps every byte of a command and a variable: Kubernetes reads $(…) and $$ in them', () => {
    const pod = documentsOf(PLANT).find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'web') as unknown as { spec: { template: { spec: { containers: { args: string[]; env: { value: string }[] }[] } } } }; // prettier-ignore
    const [container] = pod.spec.template.spec.containers;
    expect(expand(container!.args[0]!)).toBe(NASTY);
    expect(expand(container!.env[0]!.value)).toBe(NASTY);
  });

  it('refuses what a pod cannot have, all at once, each at its key', () => {
    const place = (line: number) => ({ file: 'compose.yaml', line, column: 5 });
    const app: App = {
      ...PLANT,
      networks: [{ name: 'plant_default', where: place(40), external: false, internal: false, driver: 'macvlan', driverOptions: {} }],
      services: [
        service('one', { keyPlaces: { devices: place(7), ulimits: place(8), user: place(9), ports: place(10) }, ports: [{ target: '80', protocol: 'tcp' }],
          settings: { devices: [{ source: '/dev/x' }], ulimits: { nproc: { soft: 1, hard: 1 } }, user: 'app' } }),
        service('Two', { where: place(20) }),
      ],
    }; // prettier-ignore
    try {
      documentsOf(app);
      expect.unreachable();
    } catch (error) {
      const problems = (error as UserError).problems;
      expect(problems.map(({ where, message }) => [where!.line, message])).toEqual([
        [40, 'the network "plant_default" has "driver", which k3s does not have'],
        [10, 'the service "one" leaves the choice of a port to the engine, which a pod of k3s cannot have'],
        [9, 'the service "one" names its user "app", which a pod of k3s cannot have'],
        [7, 'the service "one" asks for devices, which a pod of k3s cannot have'],
        [8, 'the service "one" has "ulimits", which a pod of k3s cannot have'],
        [20, 'the service "Two" has the name "Two" in its networks, which a pod of k3s cannot have'],
      ]);
      expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['NOT_FOR_ENGINE']));
    }
  });
});

/** How the kubelet reads a text without variables (k8s.io/kubernetes third_party/forked/golang/expansion): a pair of `$` is one. */
function expand(text: string): string {
  expect(text.replaceAll('$$', '')).not.toContain('$(');
  return text.replace(/\$\$/g, '$');
}
