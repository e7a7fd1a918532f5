import { describe, expect, it } from 'vitest';
import type { App, DeviceFacts, EngineFacts, NativeApp } from '@boxship/model';
import { HELLO } from '../../example-app.ts';
import { exampleFacts } from '../../example-facts.ts';
import { textAt } from '../../test-images.ts';
import { startPodmanApp } from '../start.ts';
import { findQuadletGenerators } from './generators.ts';

const facts = (version: string, change: Partial<EngineFacts> = {}): DeviceFacts => ({
  ...exampleFacts,
  engines: [{ name: 'podman', version, program: '/usr/bin/podman', quadlet: true, composePlugin: false, ...change }],
});

const app = (language: NativeApp['language'], files: Readonly<Record<string, string>>): App => ({
  ...HELLO,
  native: {
    language,
    where: { file: 'boxship.yaml', line: 4, column: 3 },
    files: Object.entries(files).map(([path, text]) => ({ path, mode: 0o644, bytes: Buffer.from(text) })),
  },
});

const QUADLETS = app('quadlet', {
  'web.container': '[Unit]\nAfter=db.service\n[Container]\nImage=registry.example.com/web:1\nVolume=data.volume:/data\nEnvironmentFile=./web.env\n[Install]\nWantedBy=default.target\n',
  'db.container': '[Container]\nImage=registry.example.com/db:1\nPod=all.pod\n',
  'all.pod': '[Pod]\nPublishPort=8080:80\n[Install]\nWantedBy=default.target\n',
  'other.container': '[Container]\nImage=registry.example.com/web:1\nServiceName=named\n',
  'other.container.d/10.conf': '[Install]\nRequiredBy=default.target\n',
  'data.volume': '[Volume]\n',
  'web.env': 'A=b\n',
}); // prettier-ignore
const KUBERNETES = app('kubernetes', {
  'k8s.yaml':
    'kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: registry.example.com/web:1 }] }\n',
});

async function filesOf(one: App, version: string): Promise<ReadonlyMap<string, string>> {
  const tree = startPodmanApp(one, new Map(), facts(version), { epoch: 0, console: false });
  const paths = [...tree.entries()].filter(({ type }) => type === 'file').map(({ path }) => path);
  return new Map(await Promise.all(paths.map(async (path) => [path.replace(/^apps\/hello\//, ''), await textAt(tree.entries(), path)] as const))); // prettier-ignore
}

describe('an app of Quadlet files', () => {
  it('is shipped as it is, and a unit of ours starts what wants to be started', async () => {
    const files = await filesOf(QUADLETS, '5.4.2');
    for (const { path, bytes } of QUADLETS.native!.files) expect(files.get(`quadlets/${path}`)).toBe(String(bytes));
    const [[unit, text], ...others] = [...files].filter(([path]) => !path.startsWith('quadlets/')) as [
      [string, string],
    ];
    expect([unit, others]).toEqual(['units/boxship-hello_start.service', []]);
    expect(/^Wants=(.*)$/m.exec(text)![1]).toBe('web.service all-pod.service named.service');
    expect([...(await filesOf(QUADLETS, '4.9.3')).keys()]).toContain('units/boxship-hello_quadlets.service');
  });

  it('needs a podman that reads such files: the line of the product file is named', () => {
    const start = (one: DeviceFacts, rest = {}) => () => startPodmanApp(QUADLETS, new Map(), one, { epoch: 0, console: false, ...rest }); // prettier-ignore
    expect(start(facts('4.3.1'))).toThrow(/^boxship\.yaml:4:3: .*podman 4\.3\.1 of the base image knows no Quadlet/);
    expect(start(facts('5.4.2', { quadlet: false }))).toThrow('lacks podman-system-generator');
    expect(start(facts('5.4.2'), { start: 'units' })).toThrow('engine.start is units');
  });
});

describe.each(await findQuadletGenerators())('$name', ({ version, convert }) => {
  const number = version.join('.');
  const quadlets = async (one: App) =>
    new Map([...(await filesOf(one, `${number}.0`))].filter(([path]) => /^quadlets\/[^/]+$/.test(path)).map(([path, text]) => [path.slice(9), text])); // prettier-ignore

  it('makes the units that our own unit pulls in', async () => {
    const { units, complaints } = await convert(await quadlets(QUADLETS));
    expect(complaints).toBe('');
    for (const name of ['web.service', 'all-pod.service', 'db.service']) expect([...units.keys()]).toContain(name);
  });

  it('makes a unit that plays the Kubernetes objects which lie beside it', async () => {
    const { units, complaints } = await convert(await quadlets(KUBERNETES));
    expect(complaints).toBe('');
    expect([...units.keys()]).toEqual(['boxship-hello.service']);
    expect(units.get('boxship-hello.service')).not.toContain('network-online.target');
    expect(units.get('boxship-hello.service')).toMatch(/ExecStart=\S*podman kube play .*\/boxship-hello\.yaml$/m);
  });
});
