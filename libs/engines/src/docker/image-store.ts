import type { EngineFacts } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { namedImageStore } from '../image-store-name.ts';
import { daemonSettings } from './daemon-settings.ts';

/**
 * Where docker keeps images (docs.docker.com "containerd image store"): in its own store with the overlay2 driver, or in that
 * of containerd.
 */
export const IMAGE_STORES = ['overlay2', 'containerd'] as const;
export type DockerImageStore = (typeof IMAGE_STORES)[number];

/** From this version on, a docker that finds no images takes containerd's store. */
const CONTAINERD_BY_DEFAULT = 29;

/**
 * The store of a device: what the product file asks for, else what the base image says to dockerd, else what its version would
 * take by itself. Errors: UNKNOWN_IMAGE_STORE.
 */
export function dockerImageStore({ facts, engine }: EngineDevice): DockerImageStore {
  const named = namedImageStore(engine, IMAGE_STORES);
  if (named) return named;
  const docker = dockerFacts(facts);
  const said = (docker ? daemonSettings(docker) : []).flatMap(({ key, value }): DockerImageStore[] => {
    if (key === 'containerd-snapshotter') return [value === true ? 'containerd' : 'overlay2'];
    if (key === 'storage-driver' && (value === 'overlay2' || value === 'overlayfs')) {
      return [value === 'overlay2' ? 'overlay2' : 'containerd'];
    }
    return [];
  });
  return said[0] ?? (majorOf(docker) >= CONTAINERD_BY_DEFAULT ? 'containerd' : 'overlay2');
}

export function dockerFacts({ engines }: EngineDevice['facts']): EngineFacts | undefined {
  return engines.find(({ name }) => name === 'docker');
}

/** 0 when the version is not known. */
export function majorOf(docker: EngineFacts | undefined): number {
  return Number.parseInt(docker?.version ?? '0', 10);
}

/** Whether dockerd could take the other store if nothing were said; older ones know overlay2 alone, or have to be told. */
export function mustBeTold(device: EngineDevice): boolean {
  return dockerImageStore(device) === 'containerd' || majorOf(dockerFacts(device.facts)) >= CONTAINERD_BY_DEFAULT;
}

/** Where a containerd that systemd starts listens; dockerd looks there too. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/**
 * Whether dockerd starts a containerd of its own, below its data root: when nobody names one, and the base image has no unit
 * of containerd (moby cmd/dockerd/daemon_unix.go `initContainerd`).
 */
export function startsItsOwnContainerd({ facts }: EngineDevice): boolean {
  const docker = dockerFacts(facts);
  if (!docker) return false; // an image of the generated layer: containerd has a unit there
  const named = daemonSettings(docker).some(({ key }) => key === 'containerd');
  return !named && !facts.engines.some(({ name, unit }) => name === 'containerd' && unit !== undefined);
}
