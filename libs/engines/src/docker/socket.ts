import type { EngineMount, EngineSocket } from '@boxship/device-socket';
import type { EngineDevice } from '../engine.ts';
import { dockerImageStore, startsItsOwnContainerd } from './image-store.ts';

/** Docker's data root that the store takes the place of. */
export const DATA_ROOT = '/var/lib/docker';
const VOLUMES = `${DATA_ROOT}/volumes`;
/** Of the containerd that dockerd stands on: where systemd starts it, and where dockerd starts one of its own. */
export const CONTAINERD_ROOT = '/var/lib/containerd';
const OWN_CONTAINERD_ROOT = `${DATA_ROOT}/containerd/daemon`;

/** Folder of the store partition that is containerd's root. */
export const CONTAINERD_FOLDER = 'containerd';

export function dockerSocket(device: EngineDevice): EngineSocket {
  const containerd = containerdMount(device);
  return {
    mounts: [
      { from: 'store', folder: 'docker', at: DATA_ROOT, mode: 0o710, description: 'Images and containers of the store' },
      { from: 'data', folder: 'volumes', at: VOLUMES, mode: 0o701, description: 'Volumes on the data partition' },
      containerd,
    ],
    units: [
      { name: 'docker.service', after: [DATA_ROOT, VOLUMES, ...(containerd.at === CONTAINERD_ROOT ? [] : [containerd.at])] },
      { name: 'docker.socket' },
      { name: 'containerd.service', after: containerd.at === CONTAINERD_ROOT ? [CONTAINERD_ROOT] : [] },
    ],
    writable: ['/etc/docker'], // dockerd before 25 keeps a key there
  };
} // prettier-ignore

/** With overlay2, what containerd keeps is of no weight, wherever it does. */
function containerdMount(device: EngineDevice): EngineMount {
  const description = 'State of containerd in the store';
  const isOwn = dockerImageStore(device) === 'containerd' && startsItsOwnContainerd(device);
  const at = isOwn ? OWN_CONTAINERD_ROOT : CONTAINERD_ROOT;
  return { from: 'store', folder: CONTAINERD_FOLDER, at, mode: 0o711, description };
}
