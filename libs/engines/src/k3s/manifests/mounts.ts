import { createHash } from 'node:crypto';
import type { App, AppFile, AppVolume, Service, ServiceMount, ServiceSecret } from '@boxship/model';
import type { Json } from './json.ts';
import { objectName } from './names.ts';
import type { PodFields } from './pod-settings.ts';
import type { Refusals } from './refusals.ts';

/** Named volumes, on the data partition. */
export const VOLUMES_FOLDER = '/run/boxship/data/k3s-volumes';
/** Files of an app as the device has them, from the signed store. */
const STORE_APPS = '/run/boxship/store/apps';
/** An object has at most 1.5 MiB in the k3s datastore, binary data in base64. */
const CONFIG_MAP_BYTES = 768 * 1024;
/** The pod's own name for what it brings along. */
const NODE_PROPAGATION: Readonly<Record<string, string>> = { rslave: 'HostToContainer', slave: 'HostToContainer', rshared: 'Bidirectional', shared: 'Bidirectional' }; // prettier-ignore

export interface PodMounts {
  /** PodSpec.volumes */
  readonly volumes: readonly Json[];
  /** Container.volumeMounts */
  readonly mounts: readonly Json[];
  /** Single files of the app that the service mounts, by key of its ConfigMap. */
  readonly files: ReadonlyMap<string, AppFile>;
}

/** What a service mounts: named volumes by claim, files of the app by a ConfigMap, folders from the device, memory. */
export function mountsOf(app: App, service: Service, fields: readonly PodFields[], refusals: Refusals): PodMounts {
  const volumes: Json[] = [];
  const mounts: Json[] = [];
  const files = new Map<string, AppFile>();
  const prefix = objectName(service.name).slice(0, 40);
  const add = (source: Json, mountPath: string, rest: { readonly [key: string]: Json } = {}) => {
    const name = `${prefix}-${volumes.length}`;
    volumes.push({ name, ...(source as object) });
    mounts.push({ name, mountPath, ...rest });
  };
  const readOnly = (mount: { readonly readOnly: boolean }) => (mount.readOnly ? { readOnly: true } : {});
  const singles = service.mounts.flatMap((mount) => (mount.type === 'bind' ? (singleFile(app, mount.source) ?? []) : []));
  const fit = singles.reduce((sum, { bytes }) => sum + bytes.length, 0) <= CONFIG_MAP_BYTES;
  for (const mount of service.mounts) {
    if (mount.type === 'tmpfs') add(memory(mount.size), mount.target);
    else if (mount.type === 'volume') add(volumeSource(app, service, mount, refusals), mount.target, readOnly(mount));
    else {
      const file = fit ? singleFile(app, mount.source) : undefined;
      if (file) files.set(`file-${files.size}`, file);
      const key = `file-${files.size - 1}`;
      const propagation = NODE_PROPAGATION[mount.propagation ?? ''];
      if (file) add({ configMap: { name: filesName(service), items: [{ key, path: key, mode: file.mode }] } }, mount.target, { subPath: key, readOnly: true });
      else add({ hostPath: { path: mount.source } }, mount.target, { ...readOnly(mount), ...(propagation === undefined ? {} : { mountPropagation: propagation }) });
    }
  }
  for (const { path, size } of fields.flatMap((item) => item.memory ?? [])) add(memory(size), path);
  for (const secret of service.secrets ?? []) add(secretSource(service, secret, refusals), secret.target, { readOnly: true });
  return { volumes, mounts, files };
} // prettier-ignore

function memory(size: number | undefined): Json {
  return { emptyDir: { medium: 'Memory', ...(size === undefined ? {} : { sizeLimit: String(size) }) } };
}

function singleFile(app: App, source: string): AppFile | undefined {
  const folder = `${STORE_APPS}/${app.name}/`;
  return source.startsWith(folder) ? app.files.find(({ path }) => path === source.slice(folder.length)) : undefined;
}

function volumeSource(app: App, service: Service, mount: ServiceMount & { type: 'volume' }, { refuse }: Refusals): Json {
  if (mount.source === '') return { emptyDir: {} };
  const volume = app.volumes.find(({ name }) => name === mount.source);
  if (!volume || volume.external) {
    refuse(service, 'volumes', `uses the external volume "${mount.source}"`, 'Let the app have the volume: take "external" out.');
  }
  const { type, device, o, ...others } = volume?.driverOptions ?? {};
  if (type === 'tmpfs' && Object.keys(others).length === 0) {
    const size = /(?:^|,)size=(\d+)([kmg]?)/i.exec(o ?? '');
    return memory(size ? Number(size[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf(size[2]!.toLowerCase()) : undefined);
  }
  if (Object.keys(volume?.driverOptions ?? {}).length > 0) {
    refuse(service, 'volumes', `uses the volume "${mount.source}" with "driver_opts" (${[type, device, o].filter(Boolean).join(', ')})`, 'Leave them out, or mount it in the base image and bind-mount its folder.');
  }
  return { persistentVolumeClaim: { claimName: objectName(mount.source) } };
} // prettier-ignore

/** The file itself: it is on the device alone, and in no object of the cluster. */
function secretSource(service: Service, { name, place }: ServiceSecret, { refuse }: Refusals): Json {
  if (place.from === 'data') return { hostPath: { path: place.path, type: 'File' } };
  refuse(service, 'secrets', `reads the secret "${name}" from a systemd credential`, 'Write { file: … } in the product file: a file of the data partition.'); // prettier-ignore
  return { emptyDir: {} };
}

export function filesName(service: Service): string {
  return objectName(`${service.name}-files`);
}

/** The ConfigMap of the files that a service mounts one by one. */
export function configMap(service: Service, files: ReadonlyMap<string, AppFile>, metadata: (name: string) => Json): Json {
  const data: { [key: string]: string } = {};
  const binaryData: { [key: string]: string } = {};
  for (const [key, { bytes }] of files) {
    const text = Buffer.from(bytes).toString();
    if (Buffer.from(text).equals(bytes) && !text.includes('\0')) data[key] = text;
    else binaryData[key] = Buffer.from(bytes).toString('base64');
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(filesName(service)),
    ...(Object.keys(data).length > 0 ? { data } : {}),
    ...(Object.keys(binaryData).length > 0 ? { binaryData } : {}),
  };
} // prettier-ignore

/** Changes with any of the files, so that the pod is made anew. */
export function digestOfFiles(files: ReadonlyMap<string, AppFile>): string {
  const hash = createHash('sha256');
  for (const [key, { bytes, mode }] of files) hash.update(`${key} ${mode} ${bytes.length}\n`).update(bytes);
  return hash.digest('hex');
}

/** The volume on the data partition of this device, which the server runs on, and the app's claim of it. */
export function persistentVolume(volume: AppVolume, namespace: string, metadata: (name: string) => { readonly [key: string]: Json }): readonly Json[] {
  const name = objectName(volume.name);
  const size = { storage: '1Gi' }; // nobody holds a folder to it
  const { namespace: _none, ...own } = metadata(name);
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: own,
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: size,
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
        hostPath: { path: `${VOLUMES_FOLDER}/${volume.name}`, type: 'DirectoryOrCreate' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: SERVER_LABEL, operator: 'In', values: ['true'] }] }] } },
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: metadata(name),
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: size }, storageClassName: '', volumeName: name },
    },
  ];
} // prettier-ignore

/** k3s gives its server this label: the one node that has the store (docs.k3s.io, "Managing Server Roles"). */
export const SERVER_LABEL = 'node-role.kubernetes.io/control-plane';
