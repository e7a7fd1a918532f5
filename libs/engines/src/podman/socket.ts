import type { EngineMount, EngineSocket, EngineUnit } from '@boxship/device-socket';
import type { PodmanImageStore } from './image-store.ts';

/** podman's graph root: the store takes its place, or, with an additional image store, a folder of the data partition. */
export const GRAPH_ROOT = '/var/lib/containers/storage';
/** Where the store is mounted as an additional image store. */
export const IMAGES = '/var/lib/boxship/images';
const VOLUMES = `${GRAPH_ROOT}/volumes`;

const volumes: EngineMount = { from: 'data', folder: 'podman-volumes', at: VOLUMES, mode: 0o700, description: 'Volumes on the data partition' }; // prettier-ignore

const mounts: Readonly<Record<PodmanImageStore, readonly EngineMount[]>> = {
  graphroot: [
    { from: 'store', folder: 'podman', at: GRAPH_ROOT, mode: 0o700, description: 'Images and containers of the store' },
    volumes,
  ],
  additional: [
    {
      from: 'store',
      folder: 'podman',
      at: IMAGES,
      mode: 0o700,
      description: 'Images of the store',
      // made at need, which a read-only root does not let: then podman would do nothing (containers/storage pkg/lockfile)
      unmounted: ['overlay-images/images.lock', 'overlay-layers/layers.lock'],
    },
    { from: 'data', folder: 'podman', at: GRAPH_ROOT, mode: 0o700, description: 'Containers on the data partition' },
    volumes,
  ],
};

export function podmanSocket(store: PodmanImageStore): EngineSocket {
  const after = mounts[store].map(({ at }) => at);
  const units: readonly EngineUnit[] = [
    { name: 'podman.service', after },
    { name: 'podman.socket' },
    { name: 'podman-restart.service', after },
    { name: 'podman-auto-update.service', after },
  ];
  return {
    mounts: mounts[store],
    units,
    appFolders: [{ folder: 'quadlets', at: '/run/containers/systemd' }], // podman-systemd.unit(5); read from 5.3 on
    writable: ['/etc/containers', '/etc/cni/net.d'], // descriptions of networks: netavark's, and those of older podmans
    ...(store === 'additional' ? { storeIsReadOnly: true } : {}),
  };
}
