import { quoteArgument } from '../../run-units/systemd-text.ts';
import { isSince, type PodmanVersion } from './versions.ts';

/**
 * How podman's generator reads a value: `text`, as it stands to the end of the line, where quotes and escapes differ from one
 * version to the next; `words`, in systemd's quoting; `flag`, true or false (pkg/systemd/parser/unitfile.go of podman).
 */
type KeyForm = 'text' | 'words' | 'flag';

interface QuadletKey {
  readonly key: string;
  /** The first podman that has it and gives it the meaning of the option. */
  readonly since: PodmanVersion;
  readonly form: KeyForm;
  /** Texts that it takes; by default, those of `PLAIN_TEXT`. */
  readonly takes?: RegExp;
}

const key = (name: string, since: PodmanVersion, form: KeyForm = 'text', takes?: RegExp): QuadletKey => ({
  key: name,
  since,
  form,
  ...(takes ? { takes } : {}),
});

/** Values that mean the same with and without quotes, escapes, specifiers and variables. */
const PLAIN_TEXT = /^[A-Za-z0-9_\-./:=@+,[\]]+$/;
/** A command, which is read to the end of the line. */
const PLAIN_COMMAND = /^[A-Za-z0-9_\-./:=@+,[\]]+( [A-Za-z0-9_\-./:=@+,[\]]+)*$/;
const PORT = /^\d+(-\d+)?(\/(udp|tcp))?$/;

/** Keys of [Container] by the option of `podman run` that they become (podman-systemd.unit(5), quadlet.go of each version). */
const CONTAINER_KEYS: Readonly<Record<string, QuadletKey>> = {
  'add-host': key('AddHost', [5, 3]),
  annotation: key('Annotation', [4, 4], 'words'),
  'cap-add': key('AddCapability', [4, 4]),
  'cap-drop': key('DropCapability', [4, 4]),
  device: key('AddDevice', [4, 4]),
  dns: key('DNS', [4, 7]),
  'dns-option': key('DNSOption', [4, 7]),
  'dns-search': key('DNSSearch', [4, 7]),
  entrypoint: key('Entrypoint', [5, 0]),
  env: key('Environment', [4, 4], 'words'),
  expose: key('ExposeHostPort', [4, 4], 'text', PORT),
  'group-add': key('GroupAdd', [5, 1]),
  'health-cmd': key('HealthCmd', [4, 5], 'text', PLAIN_COMMAND),
  'health-interval': key('HealthInterval', [4, 5]),
  'health-retries': key('HealthRetries', [4, 5]),
  'health-start-period': key('HealthStartPeriod', [4, 5]),
  'health-timeout': key('HealthTimeout', [4, 5]),
  hostname: key('HostName', [4, 6]),
  init: key('RunInit', [4, 4], 'flag'),
  label: key('Label', [4, 4], 'words'),
  'log-driver': key('LogDriver', [4, 5]),
  'log-opt': key('LogOpt', [5, 2]),
  memory: key('Memory', [5, 5]),
  mount: key('Mount', [5, 0], 'text', /^(?!.*\/run\/credentials\/)[A-Za-z0-9_\-./:=,]+$/), // it would require a mount unit of the credential
  network: key('Network', [4, 4]),
  'pids-limit': key('PidsLimit', [4, 7]),
  publish: key('PublishPort', [5, 3]), // before, 0.0.0.0 was left out and sctp refused
  pull: key('Pull', [4, 6]),
  'read-only': key('ReadOnly', [4, 8], 'flag'), // before, it took /tmp and /run away
  'shm-size': key('ShmSize', [4, 7]),
  'stop-signal': key('StopSignal', [5, 2]),
  'stop-timeout': key('StopTimeout', [5, 0]),
  sysctl: key('Sysctl', [4, 6]),
  tmpfs: key('Tmpfs', [4, 5]),
  ulimit: key('Ulimit', [5, 0]), // 4.7 took one
  userns: key('UserNS', [4, 5]),
  volume: key('Volume', [4, 4]),
  workdir: key('WorkingDir', [4, 6]),
};

/** Keys of [Network] by the option of `podman network create`. */
const NETWORK_KEYS: Readonly<Record<string, QuadletKey>> = {
  driver: key('Driver', [4, 4]),
  internal: key('Internal', [4, 4], 'flag'),
  'ipam-driver': key('IPAMDriver', [4, 4]),
  ipv6: key('IPv6', [4, 4], 'flag'),
  label: key('Label', [4, 4], 'words'),
  opt: key('Options', [4, 4], 'words'),
};

/** Keys of [Volume] by the option of `podman volume create`. */
const VOLUME_KEYS: Readonly<Record<string, QuadletKey>> = {
  label: key('Label', [4, 4], 'words'),
};

/** Whether a value can stand to the end of a line as it is. */
export function isPlainText(value: string): boolean {
  return PLAIN_TEXT.test(value);
}

/** Lines of [Container] that become exactly these options of `podman run`; what a podman has no key for is its PodmanArgs. */
export function containerLines(options: readonly string[], version: PodmanVersion): readonly string[] {
  return options.flatMap((option) => securityLine(option) ?? userLines(option, version) ?? lineOf(option, CONTAINER_KEYS, version)); // prettier-ignore
}

export function networkLines(options: readonly string[], version: PodmanVersion): readonly string[] {
  return options.map((option) => lineOf(option, NETWORK_KEYS, version));
}

export function volumeLines(options: readonly string[], version: PodmanVersion): readonly string[] {
  return options.map((option) => lineOf(option, VOLUME_KEYS, version));
}

/** `--name=value` or `--name`. */
function lineOf(option: string, keys: Readonly<Record<string, QuadletKey>>, version: PodmanVersion): string {
  const [, name = '', , value] = /^--([a-z0-9-]+)(=([^]*))?$/.exec(option) ?? [];
  const found = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (found && isSince(version, found.since)) {
    if (found.form === 'flag' && value === undefined) return `${found.key}=true`;
    if (found.form === 'words' && value !== undefined) return `${found.key}=${quoteArgument(value)}`;
    if (found.form === 'text' && value !== undefined && (found.takes ?? PLAIN_TEXT).test(value)) return `${found.key}=${value}`; // prettier-ignore
  }
  return `PodmanArgs=${quoteArgument(option)}`;
}

/** The two of `--security-opt` that every podman with Quadlet has a key for; those of SELinux differ between versions. */
function securityLine(option: string): string | undefined {
  if (/^--security-opt=no-new-privileges(:true)?$/.test(option)) return 'NoNewPrivileges=true';
  const profile = /^--security-opt=seccomp=(\/.*)$/.exec(option)?.[1];
  return profile !== undefined && PLAIN_TEXT.test(profile) ? `SeccompProfile=${profile}` : undefined;
}

/** Before 5.0 a user had to be a number there. */
function userLines(option: string, version: PodmanVersion): readonly string[] | undefined {
  const [, user, group] = /^--user=([A-Za-z0-9_.-]+)(?::([A-Za-z0-9_.-]+))?$/.exec(option) ?? [];
  if (user === undefined || !isSince(version, [5, 0])) return undefined;
  return [`User=${user}`, ...(group === undefined ? [] : [`Group=${group}`])];
}
