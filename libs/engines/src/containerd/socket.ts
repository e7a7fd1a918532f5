import type { EngineSocket } from '@boxship/device-socket';

/** containerd's root that the store takes the place of. */
export const CONTAINERD_ROOT = '/var/lib/containerd';
/** Folder of the store partition that is mounted there. */
export const CONTAINERD_FOLDER = 'containerd';
/** containerd knows no volumes: each is a folder here. */
export const VOLUMES = '/var/lib/boxship/volumes';

export const containerdSocket: EngineSocket = {
  mounts: [
    { from: 'store', folder: CONTAINERD_FOLDER, at: CONTAINERD_ROOT, mode: 0o711, description: 'Images and containers of the store' },
    { from: 'data', folder: 'containerd-volumes', at: VOLUMES, mode: 0o701, description: 'Volumes on the data partition' },
  ],
  units: [{ name: 'containerd.service', after: [CONTAINERD_ROOT, VOLUMES] }],
}; // prettier-ignore
