import type { ContainerSettings, Service } from '@boxship/model';
import type { Json } from './json.ts';
import type { Refusals } from './refusals.ts';

/** Fields of a pod, of its security context, of its container and of that one's security context (core/v1 PodSpec, Container). */
export interface PodFields {
  readonly pod?: Json;
  readonly podSecurity?: Json;
  readonly container?: Json;
  readonly security?: Json;
  readonly limits?: Json;
  readonly requests?: Json;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Kept in memory, by the path in the container; bytes. */
  readonly memory?: readonly { readonly path: string; readonly size?: number }[];
}

type Writers = {
  readonly [K in keyof ContainerSettings]-?: (value: NonNullable<ContainerSettings[K]>, service: Service, refusals: Refusals) => PodFields;
}; // prettier-ignore

const refused =
  (key: string, hint: string) =>
  (_value: unknown, service: Service, { refuse }: Refusals): PodFields => {
    refuse(service, key, `has "${key}"`, hint);
    return {};
  };

/** kernel settings that the kubelet takes without being told to (kubernetes.io "Using sysctls in a Kubernetes Cluster"). */
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.ip_local_reserved_ports', 'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes',
]; // prettier-ignore

const WRITERS: Writers = {
  platform: () => ({}), // the image was chosen for this machine
  hostname: (hostname) => ({ pod: { hostname } }),
  domainname: refused('domainname', 'Leave it out: the domain of a pod is that of the cluster.'),
  user: (user, service, { refuse }) => {
    const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(user) ?? [];
    if (uid === undefined) refuse(service, 'user', `names its user "${user}"`, 'Write numbers: "1000" or "1000:1000".');
    return { security: { ...(uid === undefined ? {} : { runAsUser: Number(uid) }), ...(gid === undefined ? {} : { runAsGroup: Number(gid) }) } }; // prettier-ignore
  },
  groupAdd: (groups, service, { refuse }) => {
    const names = groups.filter((group) => !/^\d+$/.test(group));
    if (names.length > 0) refuse(service, 'group_add', `names groups: ${names.join(', ')}`, 'Write their numbers.');
    return { podSecurity: { supplementalGroups: groups.map(Number) } };
  },
  workingDir: (workingDir) => ({ container: { workingDir } }),
  init: (init) => (init ? { pod: { shareProcessNamespace: true } } : {}), // the pause process reaps zombies then
  tty: (tty) => ({ container: { tty } }),
  stdinOpen: (stdin) => ({ container: { stdin } }),
  readOnly: (readOnlyRootFilesystem) => ({ security: { readOnlyRootFilesystem } }),
  privileged: (privileged) => ({ security: { privileged } }),
  capAdd: (capabilities) => ({ security: { capabilities: { add: capabilities.map(capability) } } }),
  capDrop: (capabilities) => ({ security: { capabilities: { drop: capabilities.map(capability) } } }),
  securityOpt: (options, service, { refuse }) => {
    const security: { [key: string]: Json } = {};
    for (const option of options) {
      if (/^no-new-privileges(:true)?$/.test(option)) security['allowPrivilegeEscalation'] = false;
      else if (/^seccomp[=:]unconfined$/.test(option)) security['seccompProfile'] = { type: 'Unconfined' };
      else if (/^seccomp[=:]builtin$/.test(option)) security['seccompProfile'] = { type: 'RuntimeDefault' };
      else if (/^apparmor[=:]unconfined$/.test(option)) security['appArmorProfile'] = { type: 'Unconfined' };
      else refuse(service, 'security_opt', `has the security option "${option}"`, 'Leave it out, or take no-new-privileges, seccomp=unconfined or apparmor=unconfined.'); // prettier-ignore
    }
    return { security };
  },
  usernsMode: () => ({}), // "host" is what every pod has
  ipc: (mode, service, { refuse }) => {
    if (mode.startsWith('container:')) refuse(service, 'ipc', 'shares the IPC namespace of another container', 'Leave it out.'); // prettier-ignore
    return mode === 'host' ? { pod: { hostIPC: true } } : {};
  },
  pid: (mode, service, { refuse }) => {
    if (mode !== 'host') refuse(service, 'pid', 'shares the processes of another container', 'Leave it out.');
    return mode === 'host' ? { pod: { hostPID: true } } : {};
  },
  uts: (_mode, service, { refuse }) => {
    if (service.networkMode !== 'host') refuse(service, 'uts', "has the device's host name without its network", 'Write network_mode: host, or leave it out.'); // prettier-ignore
    return {};
  },
  cgroup: (mode, service, { refuse }) => {
    if (mode === 'host') refuse(service, 'cgroup', 'has cgroup: host', 'Leave it out.');
    return {};
  },
  cgroupParent: refused('cgroup_parent', 'Leave it out: the kubelet chooses.'),
  runtime: refused('runtime', 'Leave it out, or set the default of the base image.'),
  gpus: refused('gpus', 'Leave it out: a device plugin would have to be in the cluster.'),
  devices: (devices, service, { refuse }) => {
    const all = service.settings.privileged === true && devices.every(({ source, target }) => target === undefined || target === source); // prettier-ignore
    if (!all) refuse(service, 'devices', 'asks for devices', 'Write privileged: true, which has all of them under their own names, or take docker or podman.'); // prettier-ignore
    return {};
  },
  deviceCgroupRules: (_rules, service, { refuse }) => {
    if (service.settings.privileged !== true) refuse(service, 'device_cgroup_rules', 'has rules for devices', 'Write privileged: true, which may use all of them, or take docker or podman.'); // prettier-ignore
    return {};
  },
  cpus: (cpus) => ({ limits: { cpu: millicores(Number(cpus)) } }),
  cpuset: refused('cpuset', 'Leave it out: the kubelet gives cores.'),
  cpuShares: (shares) => ({ requests: { cpu: millicores(shares / 1024) } }), // cgroups of Kubernetes: 1024 shares are one cpu
  cpuPeriod: (period, { settings }) => cpuQuota(settings.cpuQuota, period),
  cpuQuota: (quota, { settings }) => cpuQuota(quota, settings.cpuPeriod),
  cpuRtPeriod: refused('cpu_rt_period', 'Leave it out.'),
  cpuRtRuntime: refused('cpu_rt_runtime', 'Leave it out.'),
  memLimit: (bytes) => ({ limits: { memory: String(bytes) } }),
  memReservation: (bytes) => ({ requests: { memory: String(bytes) } }),
  memswapLimit: refused('memswap_limit', 'Leave it out: the kubelet decides about swap.'),
  memSwappiness: refused('mem_swappiness', 'Leave it out.'),
  oomKillDisable: refused('oom_kill_disable', 'Leave it out.'),
  oomScoreAdj: refused('oom_score_adj', 'Leave it out: it follows from the requests and limits.'),
  pidsLimit: refused('pids_limit', 'Set podPidsLimit of the kubelet in the base image.'),
  shmSize: (size) => ({ memory: [{ path: '/dev/shm', size }] }),
  blkioWeight: refused('blkio_config', 'Leave it out.'),
  blkioDevices: refused('blkio_config', 'Leave it out.'),
  storageOpt: refused('storage_opt', 'Leave it out.'),
  ulimits: refused('ulimits', 'Set them in the entrypoint of the image, or for the k3s service in the base image.'),
  sysctls: (sysctls, service, { refuse }) => {
    const others = Object.keys(sysctls).filter((name) => !SAFE_SYSCTLS.includes(name));
    if (others.length > 0) refuse(service, 'sysctls', `sets ${others.join(', ')}`, `Leave it out; the kubelet takes ${SAFE_SYSCTLS.join(', ')}.`); // prettier-ignore
    return { podSecurity: { sysctls: Object.entries(sysctls).map(([name, value]) => ({ name, value })) } };
  },
  tmpfs: (mounts) => ({
    memory: mounts.map((mount) => {
      const [path = '', options = ''] = mount.split(':');
      const size = /(?:^|,)size=(\d+)([kmg]?)/i.exec(options);
      return { path, ...(size ? { size: Number(size[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf(size[2]!.toLowerCase()) } : {}) };
    }),
  }),
  macAddress: refused('mac_address', 'Leave it out.'),
  dns: (nameservers) => ({ pod: { dnsConfig: { nameservers } } }),
  dnsOpt: (options) => ({ pod: { dnsConfig: { options: options.map((option) => nameAndValue(option, ':')) } } }),
  dnsSearch: (searches) => ({ pod: { dnsConfig: { searches } } }),
  extraHosts: (hosts, service, { refuse }) => {
    if (hosts.some(({ address }) => address === 'host-gateway')) refuse(service, 'extra_hosts', 'names the host-gateway', "Write the device's address."); // prettier-ignore
    return { pod: { hostAliases: hosts.map(({ name, address }) => ({ ip: address, hostnames: [name] })) } };
  },
  expose: () => ({}), // every port can be reached by its neighbours
  annotations: (annotations) => ({ annotations }),
  stopSignal: refused('stop_signal', 'Set STOPSIGNAL in the image.'),
  stopGracePeriod: (terminationGracePeriodSeconds) => ({ pod: { terminationGracePeriodSeconds } }),
  logging: refused('logging', 'Leave it out: containerd writes the logs.'),
}; // prettier-ignore

function capability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, '');
}

function millicores(cpus: number): string {
  return `${Math.max(1, Math.round(cpus * 1000))}m`;
}

/** 100 ms is docker's own period. */
function cpuQuota(quota: number | undefined, period = 100_000): PodFields {
  return quota === undefined || quota <= 0 ? {} : { limits: { cpu: millicores(quota / period) } };
}

function nameAndValue(text: string, separator: string): { name: string; value?: string } {
  const at = text.indexOf(separator);
  return at < 0 ? { name: text } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** What the settings of a service are in a pod; what a pod cannot have is refused. */
export function podFieldsOf(service: Service, refusals: Refusals): readonly PodFields[] {
  return (Object.keys(WRITERS) as (keyof ContainerSettings)[]).flatMap((name) => {
    const write = WRITERS[name] as (value: unknown, service: Service, refusals: Refusals) => PodFields;
    return service.settings[name] === undefined ? [] : [write(service.settings[name], service, refusals)];
  });
}
