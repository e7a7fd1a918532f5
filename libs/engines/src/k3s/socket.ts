import type { EngineSocket } from '@boxship/device-socket';

/** Everything of k3s, unless it is told otherwise (docs.k3s.io, "data-dir"). */
export const DATA_DIR = '/var/lib/rancher/k3s';
/** Root of the containerd that k3s starts. */
export const CONTAINERD_ROOT = `${DATA_DIR}/agent/containerd`;
/** Folder of the store partition that is mounted there. */
export const CONTAINERD_FOLDER = 'k3s-containerd';
/** What lies here is applied to the cluster (docs.k3s.io, "Auto-Deploying Manifests"). */
export const MANIFESTS = `${DATA_DIR}/server/manifests`;
/** The password that the server knows this node by: it must live as long as the server's datastore. */
const NODE = '/etc/rancher/node';

const mounts: EngineSocket['mounts'] = [
  { from: 'store', folder: CONTAINERD_FOLDER, at: CONTAINERD_ROOT, mode: 0o711, description: 'Images and containers of the store' },
  { from: 'data', folder: 'k3s/server', at: `${DATA_DIR}/server`, mode: 0o700, description: 'Datastore, certificates and token of the k3s server' },
  { from: 'data', folder: 'k3s/storage', at: `${DATA_DIR}/storage`, mode: 0o701, description: 'Volumes of the local storage class on the data partition' },
  { from: 'data', folder: 'k3s/programs', at: `${DATA_DIR}/data`, mode: 0o755, description: 'What k3s unpacks from its own program' },
  { from: 'data', folder: 'k3s/node', at: NODE, mode: 0o755, description: 'The name of this node to its server' },
]; // prettier-ignore
const places = mounts.map(({ at }) => at);

export const k3sSocket: EngineSocket = {
  mounts,
  units: [
    { name: 'k3s.service', after: places },
    { name: 'k3s-agent.service', after: places },
  ],
  appFolders: [{ folder: 'manifests', at: MANIFESTS }],
  writable: ['/etc/rancher/k3s', '/var/lib/kubelet', '/var/lib/cni'],
};
