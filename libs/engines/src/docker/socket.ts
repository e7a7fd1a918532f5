import type { EngineSocket } from '@boxship/device-socket';

/** Docker's data root that the store takes the place of. */
export const DATA_ROOT = '/var/lib/docker';
const VOLUMES = `${DATA_ROOT}/volumes`;
/** State of the containerd that dockerd stands on where it does not start one of its own. */
const CONTAINERD_ROOT = '/var/lib/containerd';

export const dockerSocket: EngineSocket = {
  mounts: [
    { from: 'store', folder: 'docker', at: DATA_ROOT, mode: 0o710, description: 'Images and containers of the store' },
    { from: 'data', folder: 'volumes', at: VOLUMES, mode: 0o701, description: 'Volumes on the data partition' },
    { from: 'store', folder: 'containerd', at: CONTAINERD_ROOT, mode: 0o711, description: 'State of containerd in the store' },
  ],
  units: [
    { name: 'docker.service', after: [DATA_ROOT, VOLUMES] },
    { name: 'docker.socket' },
    { name: 'containerd.service', after: [CONTAINERD_ROOT] },
  ],
  writable: ['/etc/docker'], // dockerd before 25 keeps a key there
}; // prettier-ignore
