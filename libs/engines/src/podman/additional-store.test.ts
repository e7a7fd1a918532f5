import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { EngineFacts } from '@boxship/model';
import { findYoctoRelease } from '@boxship/yocto';
import type { EngineDevice } from '../engine.ts';
import { exampleFacts } from '../example-facts.ts';
import { image, layer, textAt } from '../test-images.ts';
import { podmanBuild } from './build-needs.ts';
import { podmanConfiguration } from './configuration.ts';
import { podmanImageStore } from './image-store.ts';
import { podmanSocket } from './socket.ts';
import { withAdditionalStore } from './storage-conf.ts';
import { podmanStore } from './store.ts';
import { checkPodmanSettings } from './vendor-checks.ts';

const PLACE = '/var/lib/boxship/images';

const withPodman = (storageConfig?: EngineFacts['storageConfig'], imageStore?: string): EngineDevice => ({
  facts: {
    ...exampleFacts,
    engines: [{ name: 'podman', version: '5.4.2', program: '/usr/bin/podman', composePlugin: false, ...(storageConfig ? { storageConfig } : {}) }],
  },
  engine: { name: 'podman', ...(imageStore === undefined ? {} : { imageStore }) },
}); // prettier-ignore
const filesOf = async (device: EngineDevice) => {
  const entries = podmanConfiguration(device, { epoch: 1 }).map(({ entry }) => entry);
  return await Promise.all(entries.map(async ({ path }) => [path, await textAt(entries, path)]));
};

describe('storage.conf', () => {
  const head = '[storage]\ndriver = "overlay"\n';
  it.each([
    ['no list', `${head}[storage.options]\n# mine\nx = 1\n`, `${head}[storage.options]\nadditionalimagestores = ["/a b"]\n# mine\nx = 1\n`],
    ['an empty list', `${head}[storage.options]\nadditionalimagestores = []\n`, `${head}[storage.options]\nadditionalimagestores = ["/a b", ]\n`],
    ['one of several lines', `${head}[storage.options]\n  additionalimagestores=[ # none\n]\n`, `${head}[storage.options]\n  additionalimagestores= ["/a b", # none\n]\n`],
    ['one with a store', `${head}[storage.options]\nadditionalimagestores = ["/b"] # b\n`, `${head}[storage.options]\nadditionalimagestores = ["/a b", "/b"] # b\n`],
    ['no options', `${head}\n[storage.options.overlay]\nmountopt = "nodev"\n`, `${head}\n[storage.options.overlay]\nmountopt = "nodev"\n\n[storage.options]\nadditionalimagestores = ["/a b"]\n`],
    ['no driver', '[storage] # x\nrunroot = "/r"\n[storage.options]\n', '[storage] # x\ndriver = "overlay"\nrunroot = "/r"\n[storage.options]\nadditionalimagestores = ["/a b"]\n'],
    ['nothing', '', '\n\n[storage]\ndriver = "overlay"\n\n[storage.options]\nadditionalimagestores = ["/a b"]\n'],
  ])('gets one more store, and keeps what it says: %s', (_name, text, expected) => {
    expect(withAdditionalStore(text, '/a b')).toBe(expected);
  });

  it.each(['storage.options = {}\n', 'storage = { driver = "overlay" }\n', '[storage]\noptions = { size = "1" }\n', '[storage]\n[storage.options]\nadditionalimagestores = """x"""\n'])(
    'is refused where it is written in another way: %j', (text) => {
      expect(withAdditionalStore(text, '/a')).toBeUndefined();
      const device = withPodman({ file: '/etc/containers/storage.conf', text }, 'additional');
      expect(() => checkPodmanSettings(device)).toThrow(/\/etc\/containers\/storage\.conf in the base image collides with the store, which has to be named there/);
      expect(podmanConfiguration(device, { epoch: 1 })).toEqual([]);
      checkPodmanSettings({ ...device, engine: { name: 'podman' } });
    },
  );
}); // prettier-ignore

describe('an additional image store', () => {
  it('is what the product file asks for, or what the base image was made for', () => {
    const file = '/etc/containers/storage.conf';
    expect(podmanImageStore(withPodman())).toBe('graphroot');
    expect(podmanImageStore(withPodman(undefined, 'additional'))).toBe('additional');
    const made = { file, additionalStores: ['/usr/lib/containers/storage', PLACE] };
    expect(podmanImageStore(withPodman(made))).toBe('additional');
    expect(() => checkPodmanSettings(withPodman(made, 'graphroot'))).toThrow(`"${PLACE}" in additionalimagestores (${file})`);
    expect(() => podmanImageStore(withPodman(undefined, 'overlay2'))).toThrow('which podman does not have');
  }); // prettier-ignore

  it('is named in the file that podman reads, the vendor’s or a new one, and only where it is not yet', async () => {
    const file = '/etc/containers/storage.conf';
    const ours = `[storage.options]\nadditionalimagestores = ["${PLACE}"]\n`;
    expect(await filesOf(withPodman())).toEqual([]);
    expect(await filesOf(withPodman({ file, text: '[storage]\ndriver = "overlay"\n' }, 'additional'))).toEqual([
      ['etc/containers/storage.conf', `[storage]\ndriver = "overlay"\n\n${ours}`],
    ]);
    expect(await filesOf(withPodman(undefined, 'additional'))).toEqual([
      ['usr/share/containers/storage.conf', `# containers-storage.conf(5)\n[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n\n${ours}`],
    ]);
    expect(await filesOf(withPodman({ file, additionalStores: [PLACE], text: '' }))).toEqual([]);
  }); // prettier-ignore

  it('is mounted read-only beside a graph root of the data partition; volumes are where they are without it', () => {
    const [graphroot, additional] = [podmanSocket('graphroot'), podmanSocket('additional')];
    expect([graphroot.storeIsReadOnly, additional.storeIsReadOnly]).toEqual([undefined, true]);
    expect(additional.mounts.map(({ from, folder, at }) => [from, folder, at])).toEqual([
      ['store', 'podman', PLACE],
      ['data', 'podman', '/var/lib/containers/storage'],
      ['data', 'podman-volumes', '/var/lib/containers/storage/volumes'],
    ]);
    expect(graphroot.mounts.at(-1)).toEqual(additional.mounts.at(-1));
  });

  it('has nothing that podman writes, and its indexes are verified with the rest', () => {
    const paths = (kind: 'graphroot' | 'additional', part: 'state' | 'verified') =>
      [...podmanStore([image('a:1', [layer('a')])], kind, { epoch: 1 })[part].entries()].map(({ path }) => path);
    const own = ['podman/defaultNetworkBackend', 'podman/volumes'];
    expect(paths('graphroot', 'state').filter((path) => !paths('additional', 'state').includes(path))).toEqual(own);
    const indexes = ['podman/overlay-images/images.json', 'podman/overlay-layers/layers.json'];
    const extra = paths('additional', 'verified').filter((path) => !paths('graphroot', 'verified').includes(path));
    expect(extra.sort()).toEqual(indexes);
  });
});

describe('storage.conf of a generated layer', () => {
  const settings = { addressPools: [], insecureRegistries: [], mirrors: {} };
  // as container-host-config has it: scarthgap with overlay, wrynose with vfs
  const theirs = (driver: string) =>
    `[storage]\n\n# Default\ndriver = "${driver}"\n\n[storage.options]\n# additionalimagestores is used to pass paths\nadditionalimagestores = [\n]\n`;

  it.each([
    ['scarthgap', 'overlay'],
    ['wrynose', 'vfs'],
  ])('of %s is changed by sed, once, however often', async (release, driver) => {
    const folder = await mkdtemp(join(tmpdir(), 'boxship-storage-conf-'));
    const file = join(folder, 'storage.conf');
    for (const imageStore of ['graphroot', 'additional']) {
      const needs = podmanBuild.buildNeeds(findYoctoRelease(release), settings, { name: 'podman', imageStore });
      await writeFile(file, theirs(driver));
      for (let time = 0; time < 2; time++) {
        for (const { edits, line } of needs.configurationChanges!) {
          await runProgram('sed', ['-i', ...edits.flatMap((edit) => ['-e', edit]), file]);
          await runProgram('grep', ['-Fxq', line, file]);
        }
      }
      const text = await readFile(file, 'utf8');
      const list = imageStore === 'additional' ? `additionalimagestores = ["${PLACE}",` : 'additionalimagestores = [';
      expect(text).toBe(theirs('overlay').replace(/^additionalimagestores = \[/m, list));
      // what `compose` takes the built engine for is what it would read of it
      const built = podmanBuild.builtEngine(needs);
      expect(built.storageConfig!.additionalStores).toEqual(imageStore === 'additional' ? [PLACE] : undefined);
      checkPodmanSettings({ facts: { ...exampleFacts, engines: [built] }, engine: { name: 'podman', imageStore } });
    }
    await rm(folder, { recursive: true });
  });
});
