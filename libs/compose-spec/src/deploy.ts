import type { ContainerSettings, RestartPolicy } from '@boxship/model';
import { readGpuList } from './container-settings.ts';
import type { Report } from './report.ts';
import { readBytes, readDecimal, readInteger, readKnownKeys, readText, readWord } from './scalar.ts';
import type { Value } from './yaml-value.ts';

export interface Deployment {
  readonly settings: ContainerSettings;
  readonly restart?: RestartPolicy;
  readonly restartMaxAttempts?: number;
}

const ONE_DEVICE = 'Remove it: there is one device and one container of each service.';
const NO_TIMES = 'Remove it: the service is restarted after two seconds.';

/** `deploy` of a service: limits, reservations and restart policy; what needs a swarm is an error. */
export function readDeploy(value: Value | undefined, report: Report): Deployment {
  const keys = readKnownKeys(value, 'deploy', ['mode', 'replicas', 'resources', 'restart_policy', 'labels'], report, {
    placement: ONE_DEVICE,
    update_config: 'Remove it: an update replaces the whole store.',
    rollback_config: 'Remove it: an update replaces the whole store.',
    endpoint_mode: ONE_DEVICE,
  });
  const get = (key: string) => keys.get(key)?.value;
  readWord(get('mode'), ['replicated', 'global'], report); // the same on one device
  const labels = keys.get('labels');
  if (labels)
    report.note('IGNORED', labels.where, 'labels of a swarm service are not used', 'Use "labels" of the service.');
  const replicas = readInteger(get('replicas'), report, { min: 0 });
  if (replicas !== undefined && replicas !== 1) {
    report.error('UNSUPPORTED_VALUE', get('replicas')!.where, `${replicas} replicas are not supported`, 'Write one service per container.'); // prettier-ignore
  }
  const resources = readKnownKeys(get('resources'), 'resources', ['limits', 'reservations'], report);
  const limits = readKnownKeys(resources.get('limits')?.value, 'limits', ['cpus', 'memory', 'pids'], report);
  const reservations = readKnownKeys(resources.get('reservations')?.value, 'reservations', ['memory', 'devices'], report, {
    cpus: 'Use cpu_shares.',
    generic_resources: ONE_DEVICE,
  }); // prettier-ignore
  const cpus = readDecimal(limits.get('cpus')?.value, report);
  const memLimit = readBytes(limits.get('memory')?.value, report);
  const memReservation = readBytes(reservations.get('memory')?.value, report);
  const pidsLimit = readInteger(limits.get('pids')?.value, report, { min: -1 });
  const gpus = readGpuList(reservations.get('devices')?.value, 'devices', report);
  return {
    settings: {
      ...(cpus === undefined ? {} : { cpus }),
      ...(memLimit === undefined ? {} : { memLimit }),
      ...(memReservation === undefined ? {} : { memReservation }),
      ...(pidsLimit === undefined ? {} : { pidsLimit }),
      ...(gpus.length > 0 ? { gpus } : {}),
    },
    ...readRestartPolicy(get('restart_policy'), report),
  };
}

function readRestartPolicy(value: Value | undefined, report: Report): Omit<Deployment, 'settings'> {
  if (!value) return {};
  const policy = readKnownKeys(value, 'restart_policy', ['condition', 'max_attempts'], report, { delay: NO_TIMES, window: NO_TIMES }); // prettier-ignore
  const condition = readWord(policy.get('condition')?.value, ['none', 'on-failure', 'any'], report) ?? 'any';
  const restart = ({ none: 'no', 'on-failure': 'on-failure', any: 'always' } as const)[condition];
  const attempts = readInteger(policy.get('max_attempts')?.value, report, { min: 0, max: 1e6 });
  return { restart, ...(attempts ? { restartMaxAttempts: attempts } : {}) };
}

/** `restart` of a service: `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:5`. */
export function readRestart(value: Value | undefined, report: Report): Omit<Deployment, 'settings'> {
  const text = value?.kind === 'scalar' && value.value === false ? 'no' : readText(value, report);
  if (text === undefined) return {};
  const attempts = /^on-failure:(\d{1,6})$/.exec(text)?.[1];
  if (attempts !== undefined) {
    return { restart: 'on-failure', ...(Number(attempts) > 0 ? { restartMaxAttempts: Number(attempts) } : {}) };
  }
  const restart = readWord(value, ['no', 'always', 'on-failure', 'unless-stopped'], report);
  return restart === undefined ? {} : { restart };
}
