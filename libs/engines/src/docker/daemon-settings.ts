import type { EngineFacts } from '@boxship/model';

/** dockerd's flags that decide about the store, with the daemon.json key of the same meaning. */
const FLAGS: readonly (readonly [key: string, names: readonly string[]])[] = [
  ['data-root', ['--data-root', '--graph', '-g']],
  ['storage-driver', ['--storage-driver', '-s']],
  ['userns-remap', ['--userns-remap']],
  ['containerd', ['--containerd']],
  ['containerd-namespace', ['--containerd-namespace']],
  ['config-file', ['--config-file']],
];

/** Where dockerd reads its configuration, unless `--config-file` names another place. */
export const DAEMON_JSON = '/etc/docker/daemon.json';

/** A setting of the vendor's dockerd, and where it is said. */
export interface DaemonSetting {
  readonly where: string;
  /** As daemon.json has it; the members of `features` stand for themselves. */
  readonly key: string;
  readonly value: unknown;
}

/** All that the base image says to dockerd, in ExecStart and in daemon.json. */
export function daemonSettings(docker: EngineFacts): readonly DaemonSetting[] {
  const settings: DaemonSetting[] = [];
  const words = (docker.execStart ?? '').split(' ');
  const where = (name: string) => `ExecStart of ${docker.unit ?? 'docker.service'}: ${name}`;
  for (const [key, names] of FLAGS) {
    for (const [name, value] of flagValues(words, names)) settings.push({ where: where(name), key, value });
  }
  for (const [name, value] of flagValues(words, ['--feature'])) {
    const [feature = '', on = 'true'] = value.split('='); // docker/cli opts: a map of booleans, true unless said otherwise
    settings.push({ where: where(name), key: feature, value: on === 'true' || on === '1' });
  }
  const config = docker.daemonConfig ?? {};
  for (const [key, value] of [...Object.entries(config), ...Object.entries(featuresOf(config))]) {
    settings.push({ where: DAEMON_JSON, key, value });
  }
  return settings;
}

export function featuresOf(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { features } = config;
  return typeof features === 'object' && features !== null ? (features as Record<string, unknown>) : {};
}

function flagValues(words: readonly string[], names: readonly string[]): (readonly [name: string, value: string])[] {
  return words.flatMap((word, index) => {
    const name = names.find((flag) => word === flag || word.startsWith(`${flag}=`));
    if (!name) return [];
    return [[name, word === name ? (words[index + 1] ?? '') : word.slice(name.length + 1)] as const];
  });
}
