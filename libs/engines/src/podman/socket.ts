import type { EngineSocket } from '@boxship/device-socket';

/** podman's graph root that the store takes the place of. */
export const GRAPH_ROOT = '/var/lib/containers/storage';
const VOLUMES = `${GRAPH_ROOT}/volumes`;

export const podmanSocket: EngineSocket = {
  mounts: [
    { from: 'store', folder: 'podman', at: GRAPH_ROOT, mode: 0o700, description: 'Images and containers of the store' },
    { from: 'data', folder: 'podman-volumes', at: VOLUMES, mode: 0o700, description: 'Volumes on the data partition' },
  ],
  units: [
    { name: 'podman.service', after: [GRAPH_ROOT, VOLUMES] },
    { name: 'podman.socket' },
    { name: 'podman-restart.service', after: [GRAPH_ROOT, VOLUMES] },
    { name: 'podman-auto-update.service', after: [GRAPH_ROOT, VOLUMES] },
  ],
  appFolders: [{ folder: 'quadlets', at: '/run/containers/systemd' }], // podman-systemd.unit(5); read from 5.3 on
  writable: ['/etc/containers', '/etc/cni/net.d'], // descriptions of networks: netavark's, and those of older podmans
}; // prettier-ignore
