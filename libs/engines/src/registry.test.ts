import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { partsOf, type App, type DeviceFacts, type TreeEntry } from '@boxship/model';
import { exampleFacts } from './example-facts.ts';
import type { Engine, EngineDevice } from './engine.ts';
import { layerOf } from './overlay-diff.ts';
import { engines } from './registry.ts';
import { image, layer, textAt } from './test-images.ts';

const here = new URL('.', import.meta.url).pathname;
const EPOCH = 1_700_000_000;

const base = layer('base');
const IMAGES = [
  image('docker.io/library/busybox:1.36', [base, layer('a')]),
  image('registry.example.com/acme/app:2', [base, layer('b'), layer('c')]),
  image('registry.example.com/acme/saved:3', [base], { manifestSynthesized: true }),
];

const APP: App = {
  name: 'hello',
  composeFile: 'compose.yaml',
  composeBytes: Buffer.from('services: {}\n'),
  services: [
    {
      name: 'web',
      where: { file: 'compose.yaml' },
      image: IMAGES[0]!.reference,
      environment: { A: 'b' },
      ports: [],
      mounts: [{ type: 'volume', source: 'hello_data', target: '/data', readOnly: false }],
      networks: [],
      networkMode: 'host', // the one that every engine has
      dependsOn: [],
      restart: 'always',
      labels: {},
      settings: {},
    },
  ],
  volumes: [{ name: 'hello_data', external: false, driverOptions: {} }],
  networks: [],
  files: [{ path: 'app.conf', mode: 0o644, bytes: Buffer.from('a = 1\n') }],
};

const names = Object.keys(engines) as (keyof typeof engines)[];
/** Each engine, with each of its image stores. */
const setups = names.flatMap((name) => {
  const { imageStores = [] }: Engine = engines[name];
  return imageStores.length === 0 ? [{ name }] : imageStores.map((imageStore) => ({ name, imageStore }));
});

/** Attributes and bytes of every entry. */
async function snapshot(entries: Iterable<TreeEntry>): Promise<string[]> {
  const lines: string[] = [];
  for (const { content, ...rest } of entries) {
    let bytes = '';
    if (content) for await (const chunk of content.source.open()) bytes += Buffer.from(chunk).toString('base64');
    lines.push(`${JSON.stringify(rest)} ${bytes}`);
  }
  return lines;
}

it('has every engine of this folder under its own name', () => {
  const folders = readdirSync(here, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(`${here}/${entry.name}/index.ts`))
    .map(({ name }) => name);
  expect(names.toSorted()).toEqual(folders.toSorted());
  expect(names.map((name) => engines[name].name)).toEqual(names);
});

describe.each(setups)('the engine $name $imageStore', (setup) => {
  const { name } = setup;
  const engine: Engine = engines[name];
  const facts: DeviceFacts = {
    ...exampleFacts,
    programs: { ...exampleFacts.programs, ctr: '/usr/bin/ctr' },
    engines: [
      ...exampleFacts.engines.filter((one) => one.name !== name),
      { name, version: '28.5.2', program: `/usr/bin/${name}`, unit: `${name}.service`, composePlugin: false },
    ],
  };
  const device: EngineDevice = { facts, engine: setup };
  const preload = () => engine.preload(IMAGES, device, { epoch: EPOCH });
  const { mounts } = engine.socket(device);
  const entries = () => [...preload().state.entries(), ...preload().layers.entries()];
  const start = () => engine.start(APP, preload().imageIds, facts, { epoch: EPOCH, console: false });

  it('has each path once, and a folder before what it holds', () => {
    const seen = new Set(['']);
    for (const { path, uid, gid, mtime, content, size } of entries()) {
      expect(seen).not.toContain(path);
      expect(seen).toContain(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
      expect([uid, gid, mtime]).toEqual([0, 0, EPOCH]); // the layers of this test are empty
      expect(content !== undefined).toBe(size > 0);
      seen.add(path);
    }
  });

  it('makes the same bytes each time, walked again or made again, whatever else is in the images', async () => {
    const first = preload();
    const once = await snapshot([...first.state.entries(), ...first.layers.entries()]);
    expect(await snapshot([...first.state.entries(), ...first.layers.entries()])).toEqual(once);
    expect(await snapshot(entries())).toEqual(once);
    expect(await snapshot(start().entries())).toEqual(await snapshot(start().entries()));
  });

  it('verifies files that are in the store, with the bytes that are there', async () => {
    const paths = new Map((await snapshot(entries())).map((line) => [line, true]));
    const verified = await snapshot(preload().verified.entries());
    expect(verified.length).toBeGreaterThan(0);
    for (const line of verified) expect(paths.has(line)).toBe(true);
  });

  it('makes the folder of the store that the device mounts in its place', () => {
    const folders = entries()
      .filter(({ type }) => type === 'directory')
      .map(({ path }) => path);
    const [first, ...others] = mounts;
    expect([first!.from, folders]).toEqual(['store', expect.arrayContaining([first!.folder])]);
    expect(others.some(({ from }) => from === 'data')).toBe(true); // volumes outlive the store
  });

  it('mounts folders that the store has: the device makes none that is missing inside of another', () => {
    const folders = new Set(entries().map(({ path }) => path));
    for (const { at, from } of mounts) {
      const around = mounts.find((other) => other.at !== at && at.startsWith(`${other.at}/`));
      if (around?.from === 'store') expect(folders, from).toContain(`${around.folder}${at.slice(around.at.length)}`);
    }
  });

  it('knows an image by an id that is the digest of one of its documents', () => {
    for (const image of IMAGES) {
      const documents = [image.config.digest, image.manifest.digest];
      expect(documents).toContain(preload().imageIds.get(image.reference));
    }
    expect(preload().imageIds.size).toBe(IMAGES.length);
  });

  it('refuses an image store that it does not have', () => {
    const odd = { ...device, engine: { name, imageStore: 'constructor' } };
    expect(() => engine.check(odd)).toThrow(expect.objectContaining({ code: 'UNKNOWN_IMAGE_STORE' }) as Error);
  });

  it('refuses what the product file says to another engine', () => {
    const foreign = { namespace: 'odd', discardUnpackedLayers: true, images: ['docker.io/acme/pause:1'] };
    const refused = Object.entries(foreign).filter(([key, value]) => {
      try {
        engine.check({ ...device, engine: { ...setup, [key]: value } });
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: 'NOT_FOR_ENGINE' });
        return true;
      }
    });
    const known: Partial<Record<string, readonly string[]>> = {
      containerd: ['namespace', 'discardUnpackedLayers'],
      k3s: ['discardUnpackedLayers', 'images'],
    };
    expect(Object.keys(foreign).filter((key) => !refused.some(([one]) => one === key))).toEqual(known[name] ?? []);
  });

  it('holds each image layer as a branch, which is the same tree in every store', () => {
    const branches = () => [...partsOf(preload().layers)].filter((part) => 'branch' in part);
    expect(new Set(branches().map(layerOf)).size).toBe(4);
    const again = branches();
    for (const [index, { branch }] of branches().entries()) expect(again[index]!.branch).toBe(branch);
  });

  it('starts an app from files below its own folder, with its units and the files that it brings', async () => {
    const paths = [...start().entries()].filter(({ type }) => type === 'file').map(({ path }) => path);
    for (const path of paths) expect(path).toMatch(/^apps\/hello\//);
    expect(paths.filter((path) => path.startsWith('apps/hello/units/'))).not.toEqual([]);
    expect(await textAt(start().entries(), 'apps/hello/app.conf')).toBe('a = 1\n');
  });

  it('is refused for a base without it, and taken for a plain one', () => {
    engine.check(device);
    const without = { ...device, facts: { ...facts, engines: [] } };
    expect(() => engine.check(without)).toThrow(expect.objectContaining({ code: 'ENGINE_MISSING' }) as Error);
    const { at } = mounts[0]!;
    const mounted = { ...device, facts: { ...facts, mountPoints: ['/', `${at}/x`] } };
    expect(() => engine.check(mounted)).toThrow(expect.objectContaining({ code: 'ENGINE_CONFLICT' }) as Error);
  });
});
