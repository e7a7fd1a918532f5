import type { Location } from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import type { Report } from './report.ts';
import {
  readBoolean, readBytes, readDecimal, readDuration, readInteger, readKnownKeys, readLabels, readList, readMap,
  readPairs, readScalarText, readText, readTexts, readWord,
} from './scalar.ts'; // prettier-ignore
import type { Value } from './yaml-value.ts';

/** What an option may refer to outside of its own value. */
export interface OptionSurroundings {
  readonly report: Report;
  readonly files: AppFiles;
  /** Name of another service's container; reports an undefined service, and makes this one start after it. */
  containerOf(service: string, where: Location): string | undefined;
}

type OptionReader = (value: Value, surroundings: OptionSurroundings) => readonly string[];

const option = (name: string, text: string | number | undefined): readonly string[] =>
  text === undefined ? [] : [`--${name}=${text}`];
const text =
  (name: string): OptionReader =>
  (value, { report }) =>
    option(name, readText(value, report));
const texts =
  (name: string): OptionReader =>
  (value, { report }) =>
    readTexts(value, report).map((item) => `--${name}=${item.text}`);
const flag =
  (name: string): OptionReader =>
  (value, { report }) =>
    readBoolean(value, report) ? [`--${name}`] : [];
const bytes =
  (name: string): OptionReader =>
  (value, { report }) =>
    option(name, readBytes(value, report));
const integer = (name: string, min: number, max = Number.MAX_SAFE_INTEGER): OptionReader => (value, { report }) =>
  option(name, readInteger(value, report, { min, max })); // prettier-ignore
const pairs =
  (name: string): OptionReader =>
  (value, { report }) =>
    Object.entries(readLabels(value, report)).map(([key, item]) => `--${name}=${key}=${item}`);

/** A namespace shared with the host or another service's container. */
const namespace = (name: string, words: readonly string[]): OptionReader => (value, { report, containerOf }) => {
  const mode = readText(value, report);
  if (mode === undefined) return [];
  if (mode.startsWith('service:')) {
    const container = containerOf(mode.slice('service:'.length), value.where);
    return container === undefined ? [] : [`--${name}=container:${container}`];
  }
  if (words.includes(mode) || mode.startsWith('container:')) return [`--${name}=${mode}`];
  report.error('BAD_VALUE', value.where, `"${mode}" is not one of ${[...words, 'service:NAME'].join(', ')}`, 'Choose one of them.'); // prettier-ignore
  return [];
}; // prettier-ignore

const microseconds = (name: string): OptionReader => (value, { report }) => {
  const plain = value.kind === 'scalar' && /^\d+$/.test(String(value.value));
  const milliseconds = plain ? undefined : readDuration(value, report);
  if (plain) return option(name, readInteger(value, report, { min: 0 }));
  return option(name, milliseconds === undefined ? undefined : Math.round(milliseconds * 1000));
}; // prettier-ignore

/**
 * Keys of a service that are options of `docker run`, in the order in which the options are written. What has a field of
 * its own in the model (environment, ports, volumes, …) is not here.
 */
export const RUN_OPTIONS: Readonly<Record<string, OptionReader>> = {
  platform: text('platform'),
  hostname: text('hostname'),
  domainname: text('domainname'),
  user: text('user'),
  group_add: texts('group-add'),
  working_dir: text('workdir'),
  init: flag('init'),
  tty: flag('tty'),
  stdin_open: flag('interactive'),
  read_only: flag('read-only'),
  privileged: flag('privileged'),
  cap_add: texts('cap-add'),
  cap_drop: texts('cap-drop'),
  security_opt: readSecurityOptions,
  userns_mode: (value, { report }) => option('userns', readWord(value, ['host'], report)),
  ipc: namespace('ipc', ['host', 'none', 'private', 'shareable']),
  pid: namespace('pid', ['host']),
  uts: (value, { report }) => option('uts', readWord(value, ['host'], report)),
  cgroup: (value, { report }) => option('cgroupns', readWord(value, ['host', 'private'], report)),
  cgroup_parent: text('cgroup-parent'),
  runtime: text('runtime'),
  gpus: readGpus,
  devices: readDevices,
  device_cgroup_rules: texts('device-cgroup-rule'),
  cpus: (value, { report }) => option('cpus', readDecimal(value, report)),
  cpuset: text('cpuset-cpus'),
  cpu_shares: integer('cpu-shares', 0),
  cpu_period: microseconds('cpu-period'),
  cpu_quota: integer('cpu-quota', -1),
  cpu_rt_period: microseconds('cpu-rt-period'),
  cpu_rt_runtime: microseconds('cpu-rt-runtime'),
  mem_limit: bytes('memory'),
  mem_reservation: bytes('memory-reservation'),
  memswap_limit: (value, surroundings) =>
    value.kind === 'scalar' && String(value.value) === '-1'
      ? ['--memory-swap=-1']
      : bytes('memory-swap')(value, surroundings),
  mem_swappiness: integer('memory-swappiness', 0, 100),
  oom_kill_disable: flag('oom-kill-disable'),
  oom_score_adj: integer('oom-score-adj', -1000, 1000),
  pids_limit: integer('pids-limit', -1),
  shm_size: bytes('shm-size'),
  blkio_config: readBlockLimits,
  storage_opt: pairs('storage-opt'),
  ulimits: readUlimits,
  sysctls: readSysctls,
  tmpfs: readTmpfs,
  mac_address: text('mac-address'),
  dns: texts('dns'),
  dns_opt: texts('dns-option'),
  dns_search: texts('dns-search'),
  extra_hosts: readExtraHosts,
  expose: texts('expose'),
  annotations: pairs('annotation'),
  stop_signal: text('stop-signal'),
  stop_grace_period: (value, { report }) => {
    const milliseconds = readDuration(value, report);
    return option('stop-timeout', milliseconds === undefined ? undefined : Math.ceil(milliseconds / 1000));
  },
  logging: readLogging,
};

function readSecurityOptions(value: Value, { report, files }: OptionSurroundings): readonly string[] {
  return readTexts(value, report).map((item) => {
    const profile = /^seccomp[=:](?!unconfined$|builtin$)(.+)$/.exec(item.text)?.[1];
    if (profile === undefined || profile.startsWith('/')) return `--security-opt=${item.text}`;
    return `--security-opt=seccomp=${files.ship(profile, item.where, 'seccomp profile') ?? ''}`;
  });
}

function readGpus(value: Value, { report }: OptionSurroundings): readonly string[] {
  if (value.kind === 'scalar') return option('gpus', readWord(value, ['all'], report));
  report.error(
    'UNSUPPORTED_VALUE',
    value.where,
    'a list of gpus is not supported',
    'Write "gpus: all", or name devices.',
  );
  return [];
}

function readDevices(value: Value, { report }: OptionSurroundings): readonly string[] {
  return readList(value, report).flatMap((item) => {
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
    // /dev/x, /dev/x:/dev/y:rwm, or a CDI name (vendor.com/class=name)
    if (/^\/[^:]*(?::\/[^:]*)?(?::[rwm]{1,3})?$/.test(device) || /^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(device)) {
      return [`--device=${device}`];
    }
    report.error('BAD_DEVICE', item.where, `"${device}" is not a device`, 'Write /dev/x or /dev/x:/dev/y:rwm.');
    return [];
  });
}

function readBlockLimits(value: Value, { report }: OptionSurroundings): readonly string[] {
  const rates = ['device_read_bps', 'device_read_iops', 'device_write_bps', 'device_write_iops'];
  const keys = readKnownKeys(value, 'blkio_config', ['weight', 'weight_device', ...rates], report);
  const options = [...option('blkio-weight', readInteger(keys.get('weight')?.value, report, { min: 10, max: 1000 }))];
  for (const key of ['weight_device', ...rates]) {
    const field = key === 'weight_device' ? 'weight' : 'rate';
    for (const item of readList(keys.get(key)?.value, report)) {
      const limit = readKnownKeys(item, key, ['path', field], report);
      const path = readText(limit.get('path')?.value, report);
      const entry = limit.get(field)?.value;
      const amount = key.endsWith('bps') ? readBytes(entry, report) : readInteger(entry, report, { min: 0 });
      if (path === undefined || amount === undefined) {
        report.error('BAD_VALUE', item.where, `${key} needs path and ${field}`, `Write {path: /dev/sda, ${field}: …}.`);
      } else {
        options.push(
          `--${key === 'weight_device' ? 'blkio-weight-device' : key.replaceAll('_', '-')}=${path}:${amount}`,
        );
      }
    }
  }
  return options;
}

function readUlimits(value: Value, { report }: OptionSurroundings): readonly string[] {
  return [...readMap(value, report)].flatMap(([name, { value: limit, where }]) => {
    if (limit.kind !== 'map') return option('ulimit', prefix(name, readInteger(limit, report, { min: -1 })));
    const keys = readKnownKeys(limit, `ulimit "${name}"`, ['soft', 'hard'], report);
    const soft = readInteger(keys.get('soft')?.value, report, { min: -1 });
    const hard = readInteger(keys.get('hard')?.value, report, { min: -1 });
    if (soft === undefined || hard === undefined) {
      report.error('BAD_VALUE', where, `the ulimit "${name}" needs soft and hard`, 'Write both, or one number.');
      return [];
    }
    return [`--ulimit=${name}=${soft}:${hard}`];
  });
}

function prefix(name: string, number: number | undefined): string | undefined {
  return number === undefined ? undefined : `${name}=${number}`;
}

function readSysctls(value: Value, { report }: OptionSurroundings): readonly string[] {
  return [...readPairs(value, report)].flatMap(([key, { text: setting, where }]) => {
    if (setting !== null) return [`--sysctl=${key}=${setting}`];
    report.error('BAD_VALUE', where, `the sysctl "${key}" has no value`, `Write ${key}=value.`);
    return [];
  });
}

function readTmpfs(value: Value, { report }: OptionSurroundings): readonly string[] {
  return readTexts(value, report).flatMap(({ text: mount, where }) => {
    if (/^\/[^:]+(?::[^:]+)?$/.test(mount)) return [`--tmpfs=${mount}`];
    report.error('BAD_VOLUME', where, `"${mount}" is not a tmpfs`, 'Write /path or /path:size=64m,mode=1777.');
    return [];
  });
}

/** `name=address`, `name:address`, and as a map with an address or a list of them; `docker run` takes the colon. */
function readExtraHosts(value: Value, { report }: OptionSurroundings): readonly string[] {
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
  return hosts.flatMap(({ name, address, where }) => {
    const bare = address.replace(/^\[(.*)\]$/, '$1');
    if (/^[\w.-]+$/.test(name) && /^(?:[0-9.]+|[0-9a-fA-F:.%]+|host-gateway)$/.test(bare))
      return [`--add-host=${name}:${bare}`];
    report.error('BAD_VALUE', where, 'this is not a host and its address', 'Write "name=192.0.2.1" or "name=host-gateway".'); // prettier-ignore
    return [];
  });
}

function readLogging(value: Value, { report }: OptionSurroundings): readonly string[] {
  const keys = readKnownKeys(value, 'logging', ['driver', 'options'], report);
  const driver = readText(keys.get('driver')?.value, report);
  const options = [...readMap(keys.get('options')?.value, report)].map(
    ([key, entry]) => `--log-opt=${key}=${readScalarText(entry.value, report) ?? ''}`,
  );
  return [...option('log-driver', driver), ...options];
}
