import { describe, expect, it } from 'vitest';
import type { EngineFacts } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { exampleFacts } from '../example-facts.ts';
import { textAt } from '../test-images.ts';
import { dockerConfiguration } from './configuration.ts';
import { dockerImageStore, startsItsOwnContainerd } from './image-store.ts';
import { dockerSocket } from './socket.ts';

const FLAG = '--containerd=/run/containerd/containerd.sock';
const CONTAINERD: EngineFacts = { name: 'containerd', program: '/usr/bin/containerd', unit: 'containerd.service', composePlugin: false }; // prettier-ignore
const withDocker = (change: Partial<EngineFacts>, imageStore?: string, others = [CONTAINERD]): EngineDevice => {
  const docker = { name: 'docker', program: '/usr/bin/dockerd', execStart: `dockerd -H fd:// ${FLAG}`, composePlugin: false }; // prettier-ignore
  return {
    facts: { ...exampleFacts, engines: [{ ...docker, ...change }, ...others] },
    engine: { name: 'docker', ...(imageStore ? { imageStore } : {}) },
  };
};

describe('the image store of a docker', () => {
  it.each([
    ['an old one', { version: '28.5.2' }, undefined, 'overlay2'],
    ['a new one', { version: '29.0.1' }, undefined, 'containerd'],
    ['one of unknown age', {}, undefined, 'overlay2'],
    ['a new one that is told to stay', { version: '29.0.1', daemonConfig: { features: { 'containerd-snapshotter': false } } }, undefined, 'overlay2'],
    ['a new one with a driver', { version: '29.0.1', daemonConfig: { 'storage-driver': 'overlay2' } }, undefined, 'overlay2'],
    ['an old one with the feature', { version: '26.1.5', execStart: 'dockerd --feature containerd-snapshotter=true' }, undefined, 'containerd'],
    ['an old one with the snapshotter', { version: '26.1.5', daemonConfig: { 'storage-driver': 'overlayfs' } }, undefined, 'containerd'],
    ['whatever the product file says', { version: '28.5.2' }, 'containerd', 'containerd'],
    ['whatever the product file says', { version: '29.0.1' }, 'overlay2', 'overlay2'],
  ] as const)('of %s: %o, %s', (_name, change, imageStore, expected) => {
    expect(dockerImageStore(withDocker(change, imageStore))).toBe(expected);
  }); // prettier-ignore

  const daemonJson = async (device: EngineDevice): Promise<unknown> => {
    const files = dockerConfiguration(device, { epoch: 1 });
    return files.length === 0
      ? 'nothing'
      : JSON.parse(await textAt(files.map(({ entry }) => entry), 'etc/docker/daemon.json')); // prettier-ignore
  };
  const CONTAINERD_STORE = { 'storage-driver': 'overlayfs', features: { 'containerd-snapshotter': true } };

  it.each([
    ['goes by what it finds', withDocker({ version: '28.5.2' }), 'nothing'],
    ['would choose the other', withDocker({ version: '29.0.1' }, 'overlay2'), { 'storage-driver': 'overlay2', features: { 'containerd-snapshotter': false } }],
    ['would choose it, on a fresh device', withDocker({ version: '29.0.1' }), CONTAINERD_STORE],
    ['has to be told', withDocker({ version: '26.1.5' }, 'containerd'), CONTAINERD_STORE],
    ['says so already', withDocker({ version: '29.0.1', daemonConfig: CONTAINERD_STORE }), 'nothing'],
    ['has settings of its vendor', withDocker({ version: '28.5.2', daemonConfig: { 'log-driver': 'local', features: { cdi: true } } }, 'containerd'),
      { 'log-driver': 'local', 'storage-driver': 'overlayfs', features: { cdi: true, 'containerd-snapshotter': true } }],
    ['has a flag, which must not be said twice', withDocker({ version: '29.0.1', execStart: `dockerd -s overlay2 ${FLAG}` }), { features: { 'containerd-snapshotter': false } }],
  ])('is written into daemon.json when docker %s', async (_name, device, expected) => {
    expect(await daemonJson(device)).toEqual(expected);
  }); // prettier-ignore
});

describe('the containerd that docker stands on', () => {
  const place = (device: EngineDevice) => dockerSocket(device).mounts.find(({ folder }) => folder === 'containerd')?.at;

  it.each([
    ['is named', withDocker({ version: '28' }, 'containerd', []), '/var/lib/containerd'],
    ['is found, for it has a unit', withDocker({ version: '28', execStart: 'dockerd' }, 'containerd'), '/var/lib/containerd'],
    ['is its own', withDocker({ version: '28', execStart: 'dockerd' }, 'containerd', []), '/var/lib/docker/containerd/daemon'],
    ['is of no weight', withDocker({ version: '28', execStart: 'dockerd' }, 'overlay2', []), '/var/lib/containerd'],
  ])('%s', (_name, device, expected) => {
    expect(place(device)).toBe(expected);
    const { mounts, units } = dockerSocket(device);
    const awaited = units.flatMap(({ after = [] }) => after);
    for (const { at } of mounts) expect(awaited).toContain(at);
    expect(startsItsOwnContainerd({ ...device, facts: { ...device.facts, engines: [] } })).toBe(false);
  }); // prettier-ignore
});
