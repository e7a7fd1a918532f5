import type { ContainerSettings, ExtraHost, GpuRequest } from '@boxship/model';

type Writers = {
  readonly [K in keyof ContainerSettings]-?: (value: NonNullable<ContainerSettings[K]>) => readonly string[];
};

const option =
  (name: string) =>
  (value: string | number): readonly string[] => [`--${name}=${value}`];
const flag =
  (name: string) =>
  (on: boolean): readonly string[] =>
    on ? [`--${name}`] : [];
const options =
  (name: string) =>
  (values: readonly string[]): readonly string[] =>
    values.map((value) => `--${name}=${value}`);
const pairs =
  (name: string) =>
  (values: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(values).map(([key, value]) => `--${name}=${key}=${value}`);

/** The words of `docker run` for each setting, in the order in which they are written. */
const WRITERS: Writers = {
  platform: () => [], // the image was chosen for this machine; by its id it is the only one
  hostname: option('hostname'),
  domainname: option('domainname'),
  user: option('user'),
  groupAdd: options('group-add'),
  workingDir: option('workdir'),
  init: flag('init'),
  tty: flag('tty'),
  stdinOpen: flag('interactive'),
  readOnly: flag('read-only'),
  privileged: flag('privileged'),
  capAdd: options('cap-add'),
  capDrop: options('cap-drop'),
  securityOpt: options('security-opt'),
  usernsMode: option('userns'),
  ipc: option('ipc'),
  pid: option('pid'),
  uts: option('uts'),
  cgroup: option('cgroupns'),
  cgroupParent: option('cgroup-parent'),
  runtime: option('runtime'),
  gpus: (gpus) => gpus.map(gpuOption),
  devices: (devices) =>
    devices.map(({ source, target, permissions }) => `--device=${[source, ...(target === undefined || (target === source && permissions === undefined) ? [] : [target]), ...(permissions === undefined ? [] : [permissions])].join(':')}`), // prettier-ignore
  deviceCgroupRules: options('device-cgroup-rule'),
  cpus: option('cpus'),
  cpuset: option('cpuset-cpus'),
  cpuShares: option('cpu-shares'),
  cpuPeriod: option('cpu-period'),
  cpuQuota: option('cpu-quota'),
  cpuRtPeriod: option('cpu-rt-period'),
  cpuRtRuntime: option('cpu-rt-runtime'),
  memLimit: option('memory'),
  memReservation: option('memory-reservation'),
  memswapLimit: option('memory-swap'),
  memSwappiness: option('memory-swappiness'),
  oomKillDisable: flag('oom-kill-disable'),
  oomScoreAdj: option('oom-score-adj'),
  pidsLimit: option('pids-limit'),
  shmSize: option('shm-size'),
  blkioWeight: option('blkio-weight'),
  blkioDevices: (limits) => limits.map(({ kind, path, amount }) => `--${kind === 'weight' ? 'blkio-weight-device' : `device-${kind}`}=${path}:${amount}`), // prettier-ignore
  storageOpt: pairs('storage-opt'),
  ulimits: (ulimits) => Object.entries(ulimits).map(([name, { soft, hard }]) => `--ulimit=${name}=${soft}:${hard}`),
  sysctls: pairs('sysctl'),
  tmpfs: options('tmpfs'),
  macAddress: option('mac-address'),
  dns: options('dns'),
  dnsOpt: options('dns-option'),
  dnsSearch: options('dns-search'),
  extraHosts: (hosts: readonly ExtraHost[]) => hosts.map(({ name, address }) => `--add-host=${name}:${address}`),
  expose: options('expose'),
  annotations: pairs('annotation'),
  stopSignal: option('stop-signal'),
  stopGracePeriod: option('stop-timeout'),
  logging: ({ driver, options: own }) => [
    ...(driver === undefined ? [] : [`--log-driver=${driver}`]),
    ...Object.entries(own).map(([key, value]) => `--log-opt=${key}=${value}`),
  ],
};

/** One value of `--gpus`, which is a line of CSV (docker/cli opts/gpus.go). */
function gpuOption({ count, deviceIds, driver, capabilities }: GpuRequest): string {
  const fields = [
    ...(deviceIds ? [`device=${deviceIds.join(',')}`] : [count === -1 ? 'all' : `count=${count ?? -1}`]),
    ...(driver === undefined ? [] : [`driver=${driver}`]),
    ...(capabilities.length > 0 ? [`capabilities=${capabilities.join(',')}`] : []),
  ];
  return `--gpus=${fields.map((text) => (text.includes(',') ? `"${text}"` : text)).join(',')}`;
}

/** Options of `docker run` for what a service asks of its container. */
export function runOptions(settings: ContainerSettings): readonly string[] {
  return (Object.keys(WRITERS) as (keyof ContainerSettings)[]).flatMap((name) => {
    const write = WRITERS[name] as (value: unknown) => readonly string[];
    return settings[name] === undefined ? [] : write(settings[name]);
  });
}
