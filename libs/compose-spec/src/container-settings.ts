import type {
  BlockDeviceLimit,
  ContainerSettings,
  DeviceMapping,
  GpuRequest,
  Location,
  ResourceLimit,
} from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import type { Report } from './report.ts';
import {
  readBoolean, readBytes, readDecimal, readDuration, readInteger, readKnownKeys, readLabels, readList, readMap,
  readPairs, readScalarText, readText, readTexts, readWord,
} from './scalar.ts'; // prettier-ignore
import type { Value } from './yaml-value.ts';

/** What a key may refer to outside of its own value. */
export interface SettingSurroundings {
  readonly report: Report;
  readonly files: AppFiles;
  /** Name of another service's container; reports an undefined service, and makes this one start after it. */
  containerOf(service: string, where: Location): string | undefined;
}

type Setting = keyof ContainerSettings;
type SettingReader = (value: Value, surroundings: SettingSurroundings) => ContainerSettings;
/** Settings whose type is T. */
type SettingOf<T> = { [K in Setting]-?: NonNullable<ContainerSettings[K]> extends T ? (T extends NonNullable<ContainerSettings[K]> ? K : never) : never }[Setting]; // prettier-ignore

const field = <K extends Setting>(name: K, value: ContainerSettings[K] | undefined): ContainerSettings =>
  value === undefined ? {} : { [name]: value };
const text =
  (name: SettingOf<string>): SettingReader =>
  (value, { report }) =>
    field(name, readText(value, report));
const texts =
  (name: SettingOf<readonly string[]>): SettingReader =>
  (value, { report }) =>
    field(name, readTexts(value, report).map((item) => item.text)); // prettier-ignore
const flag =
  (name: SettingOf<boolean>): SettingReader =>
  (value, { report }) =>
    field(name, readBoolean(value, report));
const bytes =
  (name: SettingOf<number>): SettingReader =>
  (value, { report }) =>
    field(name, readBytes(value, report));
const integer =
  (name: SettingOf<number>, min: number, max = Number.MAX_SAFE_INTEGER): SettingReader =>
  (value, { report }) =>
    field(name, readInteger(value, report, { min, max }));
const pairs =
  (name: SettingOf<Readonly<Record<string, string>>>): SettingReader =>
  (value, { report }) =>
    field(name, readLabels(value, report));
const word =
  (name: SettingOf<string>, words: readonly string[]): SettingReader =>
  (value, { report }) =>
    field(name, readWord(value, words, report));

/** A namespace shared with the host or another service's container. */
const namespace =
  (name: 'ipc' | 'pid', words: readonly string[]): SettingReader =>
  (value, { report, containerOf }) => {
    const mode = readText(value, report);
    if (mode === undefined) return {};
    if (mode.startsWith('service:')) {
      const container = containerOf(mode.slice('service:'.length), value.where);
      return field(name, container === undefined ? undefined : `container:${container}`);
    }
    if (words.includes(mode) || mode.startsWith('container:')) return field(name, mode);
    report.error('BAD_VALUE', value.where, `"${mode}" is not one of ${[...words, 'service:NAME'].join(', ')}`, 'Choose one of them.'); // prettier-ignore
    return {};
  };

const microseconds =
  (name: SettingOf<number>): SettingReader =>
  (value, { report }) => {
    const plain = value.kind === 'scalar' && /^\d+$/.test(String(value.value));
    if (plain) return field(name, readInteger(value, report, { min: 0 }));
    const milliseconds = readDuration(value, report);
    return field(name, milliseconds === undefined ? undefined : Math.round(milliseconds * 1000));
  };

/** Keys of a service that are settings of its container. What has a field of its own in the model is not here. */
export const SETTINGS: Readonly<Record<string, SettingReader>> = {
  platform: text('platform'),
  hostname: text('hostname'),
  domainname: text('domainname'),
  user: text('user'),
  group_add: texts('groupAdd'),
  working_dir: text('workingDir'),
  init: flag('init'),
  tty: flag('tty'),
  stdin_open: flag('stdinOpen'),
  read_only: flag('readOnly'),
  privileged: flag('privileged'),
  cap_add: texts('capAdd'),
  cap_drop: texts('capDrop'),
  security_opt: readSecurityOptions,
  userns_mode: word('usernsMode', ['host']),
  ipc: namespace('ipc', ['host', 'none', 'private', 'shareable']),
  pid: namespace('pid', ['host']),
  uts: word('uts', ['host']),
  cgroup: word('cgroup', ['host', 'private']),
  cgroup_parent: text('cgroupParent'),
  runtime: text('runtime'),
  gpus: readGpus,
  devices: readDevices,
  device_cgroup_rules: readDeviceRules,
  cpus: (value, { report }) => field('cpus', readDecimal(value, report)),
  cpuset: text('cpuset'),
  cpu_shares: integer('cpuShares', 0),
  cpu_period: microseconds('cpuPeriod'),
  cpu_quota: integer('cpuQuota', -1),
  cpu_rt_period: microseconds('cpuRtPeriod'),
  cpu_rt_runtime: microseconds('cpuRtRuntime'),
  mem_limit: bytes('memLimit'),
  mem_reservation: bytes('memReservation'),
  memswap_limit: (value, surroundings) =>
    value.kind === 'scalar' && String(value.value) === '-1'
      ? { memswapLimit: -1 }
      : bytes('memswapLimit')(value, surroundings),
  mem_swappiness: integer('memSwappiness', 0, 100),
  oom_kill_disable: flag('oomKillDisable'),
  oom_score_adj: integer('oomScoreAdj', -1000, 1000),
  pids_limit: integer('pidsLimit', -1),
  shm_size: bytes('shmSize'),
  blkio_config: readBlockLimits,
  storage_opt: pairs('storageOpt'),
  ulimits: readUlimits,
  sysctls: readSysctls,
  tmpfs: readTmpfs,
  mac_address: text('macAddress'),
  dns: texts('dns'),
  dns_opt: texts('dnsOpt'),
  dns_search: texts('dnsSearch'),
  extra_hosts: readExtraHosts,
  expose: texts('expose'),
  annotations: pairs('annotations'),
  stop_signal: text('stopSignal'),
  stop_grace_period: (value, { report }) => {
    const milliseconds = readDuration(value, report);
    return field('stopGracePeriod', milliseconds === undefined ? undefined : Math.ceil(milliseconds / 1000));
  },
  logging: readLogging,
};

function readSecurityOptions(value: Value, { report, files }: SettingSurroundings): ContainerSettings {
  const securityOpt = readTexts(value, report).map((item) => {
    const profile = /^seccomp[=:](?!unconfined$|builtin$)(.+)$/.exec(item.text)?.[1];
    if (profile === undefined || profile.startsWith('/')) return item.text;
    return `seccomp=${files.ship(profile, item.where, 'seccomp profile') ?? ''}`;
  });
  return { securityOpt };
}

function readGpus(value: Value, { report }: SettingSurroundings): ContainerSettings {
  if (value.kind === 'scalar') {
    return readWord(value, ['all'], report) ? { gpus: [{ count: -1, capabilities: [] }] } : {};
  }
  return { gpus: readGpuList(value, 'gpus', report) };
}

/** `gpus` and `deploy.resources.reservations.devices`. */
export function readGpuList(value: Value | undefined, what: string, report: Report): readonly GpuRequest[] {
  return readList(value, report).map((item): GpuRequest => {
    const keys = readKnownKeys(item, what, ['count', 'device_ids', 'driver', 'capabilities'], report, {
      options: 'Remove it: docker run cannot pass options to a device driver.',
    });
    const get = (key: string) => keys.get(key)?.value;
    const all = get('count')?.kind === 'scalar' && (get('count') as { value: unknown }).value === 'all';
    const count = all ? -1 : readInteger(get('count'), report, { min: 1 });
    const deviceIds = readTexts(get('device_ids'), report).map((id) => id.text);
    const driver = readText(get('driver'), report);
    if (count !== undefined && deviceIds.length > 0) {
      report.error('CONFLICT', item.where, 'count and device_ids exclude each other', 'Remove one of them.');
    }
    return {
      ...(deviceIds.length > 0 ? { deviceIds } : { count: count ?? -1 }),
      ...(driver === undefined ? {} : { driver }),
      capabilities: readTexts(get('capabilities'), report).map((capability) => capability.text),
    };
  });
}

function readDevices(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const devices = readList(value, report).flatMap((item): DeviceMapping[] => {
    let device = item.kind === 'map' ? undefined : readText(item, report);
    if (item.kind === 'map') {
      const keys = readKnownKeys(item, 'a device', ['source', 'target', 'permissions'], report);
      const [source, target, permissions] = ['source', 'target', 'permissions'].map((key) =>
        readText(keys.get(key)?.value, report),
      );
      if (source === undefined) report.error('BAD_DEVICE', item.where, 'the device has no source', 'Add "source:".');
      else device = [source, target ?? source, ...(permissions === undefined ? [] : [permissions])].join(':');
    }
    if (device === undefined) return [];
    if (/^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(device)) return [{ source: device }]; // a CDI name
    // /dev/x, /dev/x:/dev/y, /dev/x:rwm, /dev/x:/dev/y:rwm
    const [, source, target, permissions] = /^(\/[^:]*)(?::(\/[^:]*))?(?::([rwm]{1,3}))?$/.exec(device) ?? [];
    if (source !== undefined) {
      return [{ source, target: target ?? source, ...(permissions === undefined ? {} : { permissions }) }];
    }
    report.error('BAD_DEVICE', item.where, `"${device}" is not a device`, 'Write /dev/x or /dev/x:/dev/y:rwm.');
    return [];
  });
  return { devices };
}

/** The kernel's own syntax (Documentation/admin-guide/cgroup-v1/devices.rst), as Docker checks it. */
function readDeviceRules(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const deviceCgroupRules = readTexts(value, report).flatMap(({ text: rule, where }) => {
    if (/^[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}$/.test(rule)) return [rule];
    report.error('BAD_DEVICE', where, `"${rule}" is not a rule for devices`, 'Write "c 81:* rwm": type, major:minor, access.'); // prettier-ignore
    return [];
  });
  return { deviceCgroupRules };
}

const BLOCK_LIMITS = [
  ['weight_device', 'weight'], ['device_read_bps', 'read-bps'], ['device_read_iops', 'read-iops'],
  ['device_write_bps', 'write-bps'], ['device_write_iops', 'write-iops'],
] as const; // prettier-ignore

function readBlockLimits(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const keys = readKnownKeys(value, 'blkio_config', ['weight', ...BLOCK_LIMITS.map(([key]) => key)], report);
  const devices: BlockDeviceLimit[] = [];
  for (const [key, kind] of BLOCK_LIMITS) {
    const name = kind === 'weight' ? 'weight' : 'rate';
    for (const item of readList(keys.get(key)?.value, report)) {
      const limit = readKnownKeys(item, key, ['path', name], report);
      const path = readText(limit.get('path')?.value, report);
      const entry = limit.get(name)?.value;
      const amount = kind.endsWith('bps') ? readBytes(entry, report) : readInteger(entry, report, { min: 0 });
      if (path === undefined || amount === undefined) {
        report.error('BAD_VALUE', item.where, `${key} needs path and ${name}`, `Write {path: /dev/sda, ${name}: …}.`);
      } else devices.push({ kind, path, amount });
    }
  }
  return {
    ...field('blkioWeight', readInteger(keys.get('weight')?.value, report, { min: 10, max: 1000 })),
    ...(devices.length > 0 ? { blkioDevices: devices } : {}),
  };
}

function readUlimits(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const ulimits: Record<string, ResourceLimit> = {};
  for (const [name, { value: limit, where }] of readMap(value, report)) {
    if (limit.kind !== 'map') {
      const both = readInteger(limit, report, { min: -1 });
      if (both !== undefined) ulimits[name] = { soft: both, hard: both };
      continue;
    }
    const keys = readKnownKeys(limit, `ulimit "${name}"`, ['soft', 'hard'], report);
    const soft = readInteger(keys.get('soft')?.value, report, { min: -1 });
    const hard = readInteger(keys.get('hard')?.value, report, { min: -1 });
    if (soft === undefined || hard === undefined) {
      report.error('BAD_VALUE', where, `the ulimit "${name}" needs soft and hard`, 'Write both, or one number.');
    } else ulimits[name] = { soft, hard };
  }
  return { ulimits };
}

function readSysctls(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const sysctls: [string, string][] = [];
  for (const [key, { text: setting, where }] of readPairs(value, report)) {
    if (setting !== null) sysctls.push([key, setting]);
    else report.error('BAD_VALUE', where, `the sysctl "${key}" has no value`, `Write ${key}=value.`);
  }
  return { sysctls: Object.fromEntries(sysctls) };
}

function readTmpfs(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const tmpfs = readTexts(value, report).flatMap(({ text: mount, where }) => {
    if (/^\/[^:]+(?::[^:]+)?$/.test(mount)) return [mount];
    report.error('BAD_VOLUME', where, `"${mount}" is not a tmpfs`, 'Write /path or /path:size=64m,mode=1777.');
    return [];
  });
  return { tmpfs };
}

/** `name=address`, `name:address`, and as a map with an address or a list of them. */
function readExtraHosts(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const hosts: { name: string; address: string; where: Location }[] = [];
  if (value.kind === 'map') {
    for (const [name, entry] of value.entries) {
      for (const { text: address, where } of readTexts(entry.value, report)) hosts.push({ name, address, where });
    }
  } else {
    for (const { text: host, where } of readTexts(value, report)) {
      const [, name = '', address = ''] = /^([^=:]+)[=:](.+)$/.exec(host) ?? [];
      hosts.push({ name, address, where });
    }
  }
  const extraHosts = hosts.flatMap(({ name, address, where }) => {
    const bare = address.replace(/^\[(.*)\]$/, '$1');
    if (/^[\w.-]+$/.test(name) && /^(?:[0-9.]+|[0-9a-fA-F:.%]+|host-gateway)$/.test(bare))
      return [{ name, address: bare }];
    report.error('BAD_VALUE', where, 'this is not a host and its address', 'Write "name=192.0.2.1" or "name=host-gateway".'); // prettier-ignore
    return [];
  });
  return { extraHosts };
}

function readLogging(value: Value, { report }: SettingSurroundings): ContainerSettings {
  const keys = readKnownKeys(value, 'logging', ['driver', 'options'], report);
  const driver = readText(keys.get('driver')?.value, report);
  const options = [...readMap(keys.get('options')?.value, report)].map(
    ([key, entry]) => [key, readScalarText(entry.value, report) ?? ''] as const,
  );
  return { logging: { ...(driver === undefined ? {} : { driver }), options: Object.fromEntries(options) } };
}
