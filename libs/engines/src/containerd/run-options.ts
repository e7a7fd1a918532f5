import type { ContainerSettings } from '@boxship/model';

/** What cannot be said to `ctr run`, and what to do instead. */
export interface Refusal {
  readonly what: string;
  readonly hint: string;
}

type Answer = readonly string[] | Refusal;
type Writers = { readonly [K in keyof ContainerSettings]-?: (value: NonNullable<ContainerSettings[K]>) => Answer };

const OTHER_ENGINE = 'Leave it out, or take docker or podman as the engine.';
const refuse = (what: string, hint = OTHER_ENGINE): Refusal => ({ what, hint });
const isRefusal = (answer: Answer): answer is Refusal => 'what' in answer;
const never = (key: string, hint?: string) => () => refuse(key, hint);
const option = (name: string) => (value: string | number) => [`--${name}=${value}`];
const flag = (name: string) => (on: boolean) => (on ? [`--${name}`] : []);
/** Joins the device's own namespace; anything else than `own` and `host` has no word. */
const namespace = (key: string, type: string, own: readonly string[]) => (mode: string) => {
  if (mode === 'host') return [`--with-ns=${type}:/proc/1/ns/${type}`];
  return own.includes(mode) ? [] : refuse(`${key}: ${mode}`);
};

/** The words of `ctr run` (containerd cmd/ctr/commands) for each setting, or why there are none. */
const WRITERS: Writers = {
  platform: () => [], // the image was chosen for this machine
  hostname: option('hostname'),
  domainname: never('domainname'),
  user: option('user'),
  groupAdd: never('group_add', 'Give the user its groups in the image, or take docker or podman as the engine.'),
  workingDir: option('cwd'),
  init: (on) => (on ? refuse('init', 'Let the image bring an init of its own.') : []),
  tty: (on) => (on ? refuse('tty') : []),
  stdinOpen: (on) => (on ? refuse('stdin_open') : []),
  readOnly: flag('read-only'),
  privileged: flag('privileged'),
  capAdd: (names) => (names.some((name) => /^(cap_)?all$/i.test(name)) ? refuse('cap_add: ALL', 'Name the capabilities, or write privileged: true.') : []),
  capDrop: () => [], // with capAdd, in `capabilityOptions`
  securityOpt: () => [], // in `securityOptions`
  usernsMode: (mode) => (mode === 'host' ? [] : refuse(`userns_mode: ${mode}`)),
  ipc: namespace('ipc', 'ipc', ['private']),
  pid: namespace('pid', 'pid', []),
  uts: namespace('uts', 'uts', []),
  cgroup: namespace('cgroup', 'cgroup', ['private']),
  cgroupParent: never('cgroup_parent'),
  runtime: never('runtime'),
  gpus: never('gpus'),
  devices: (devices) => {
    const odd = devices.find(({ source, target = source, permissions = 'rwm' }) => !source.startsWith('/') || target !== source || [...permissions].sort().join('') !== 'mrw');
    if (odd) return refuse(`devices: ${odd.source}`, 'A device keeps its path and gets all permissions here.');
    return devices.map(({ source }) => `--device=${source}`);
  },
  deviceCgroupRules: never('device_cgroup_rules'),
  cpus: option('cpus'),
  cpuset: option('cpuset-cpus'),
  cpuShares: option('cpu-shares'),
  cpuPeriod: option('cpu-period'),
  cpuQuota: option('cpu-quota'),
  cpuRtPeriod: never('cpu_rt_period'),
  cpuRtRuntime: never('cpu_rt_runtime'),
  memLimit: option('memory-limit'),
  memReservation: never('mem_reservation'),
  memswapLimit: never('memswap_limit'),
  memSwappiness: never('mem_swappiness'),
  oomKillDisable: (on) => (on ? refuse('oom_kill_disable') : []),
  oomScoreAdj: never('oom_score_adj'),
  pidsLimit: (limit) => (limit === -1 ? [] : refuse('pids_limit')),
  shmSize: (size) => [`--mount=type=tmpfs,src=shm,dst=/dev/shm,options=nosuid:noexec:nodev:mode=1777:size=${size}`],
  blkioWeight: never('blkio_config'),
  blkioDevices: never('blkio_config'),
  storageOpt: never('storage_opt'),
  ulimits: never('ulimits', 'Set the limit in the unit of containerd (LimitNOFILE=), or take docker or podman.'),
  sysctls: never('sysctls', 'Set it for the device (/etc/sysctl.d), or take docker or podman as the engine.'),
  tmpfs: (items) =>
    items.map((item) => {
      const [target = '', options = ''] = item.split(/:(.*)/s);
      return mountOption('tmpfs', 'tmpfs', target, ['nosuid', 'nodev', ...options.split(',').filter(Boolean)]);
    }),
  macAddress: never('mac_address'),
  dns: never('dns', 'Services have the /etc/resolv.conf of the device.'),
  dnsOpt: never('dns_opt', 'Services have the /etc/resolv.conf of the device.'),
  dnsSearch: never('dns_search', 'Services have the /etc/resolv.conf of the device.'),
  extraHosts: never('extra_hosts', 'Services have the /etc/hosts of the device.'),
  expose: () => [], // says what the image listens on; nothing more without a network of its own
  annotations: (values) => Object.entries(values).map(([key, value]) => `--annotation=${key}=${value}`),
  stopSignal: () => [], // in the unit's ExecStop
  stopGracePeriod: () => [],
  /** `tag` is in the unit (SyslogIdentifier=). */
  logging: ({ driver, options }) =>
    driver === undefined || driver === 'journald' || driver === 'none'
      ? Object.entries(options).every(([key, value]) => key === 'tag' && /^[\w.-]+$/.test(value)) ? [] : refuse('logging: options', 'The journal has what a service prints: "tag" is the one option, a plain word.')
      : refuse(`logging: driver: ${driver}`, 'The journal has what a service prints: take journald or none.'),
}; // prettier-ignore

/** One `--mount`: fields of a line of CSV, options joined by colons (containerd cmd/ctr/commands/run `parseMountFlag`). */
export function mountOption(type: string, source: string, target: string, options: readonly string[]): string {
  const field = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const fields = [`type=${type}`, `src=${source}`, `dst=${target}`, `options=${options.join(':')}`];
  return `--mount=${fields.map(field).join(',')}`;
}

/** Of `settings`: the options, and everything that has none. */
export function ctrOptions(settings: ContainerSettings): {
  readonly options: readonly string[];
  readonly refused: readonly Refusal[];
} {
  const answers = (Object.keys(WRITERS) as (keyof ContainerSettings)[]).flatMap((name): Answer[] => {
    const write = WRITERS[name] as (value: unknown) => Answer;
    return settings[name] === undefined ? [] : [write(settings[name])];
  });
  const security = securityOptions(settings);
  return {
    options: [...answers.flatMap((answer) => (isRefusal(answer) ? [] : answer)), ...security.options],
    refused: [...answers.filter(isRefusal), ...security.refused],
  };
}

/**
 * docker gives each container its seccomp profile and lets it gain privileges; containerd does neither unless told. Its
 * profile is docker's (containerd contrib/seccomp/seccomp_default.go).
 */
function securityOptions({ securityOpt = [], privileged = false }: ContainerSettings) {
  let isBounded = false;
  let seccomp: readonly string[] = privileged ? [] : ['--seccomp'];
  const others: string[] = [];
  const refused: Refusal[] = [];
  for (const option of securityOpt) {
    const [key = '', value = 'true'] = option.split(/[=:](.*)/s);
    if (key === 'no-new-privileges') isBounded = value !== 'false';
    else if (key === 'seccomp') {
      seccomp = value === 'unconfined' ? [] : ['--seccomp', `--seccomp-profile=${value}`];
    } else if (key === 'apparmor') {
      if (value !== 'unconfined') others.push(`--apparmor-profile=${value}`);
    } else refused.push(refuse(`security_opt: ${option}`));
  }
  return { options: [...(isBounded ? [] : ['--allow-new-privs']), ...seccomp, ...others], refused };
}
