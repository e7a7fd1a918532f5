import type { AppNetwork, AppVolume, ContainerSettings, Dependency, Location, Service } from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import { readConfigMounts, type ConfigFile, type ConfigKind } from './config-files.ts';
import { SETTINGS } from './container-settings.ts';
import { readDeviceClasses } from './device-classes.ts';
import { readDeploy, readRestart } from './deploy.ts';
import { readEnvironment, readServiceLabels } from './environment.ts';
import { readHealthcheck } from './healthcheck.ts';
import { normalizeImageReference } from './image-reference.ts';
import type { Lookup } from './interpolation.ts';
import { readMounts } from './mounts.ts';
import { readPorts } from './ports.ts';
import type { Report } from './report.ts';
import { readNetworkMode, readServiceNetworks, type Declared } from './resources.ts';
import { readBoolean, readInteger, readKnownKeys, readList, readScalarText, readText, readTexts, readWord } from './scalar.ts'; // prettier-ignore
import { splitShellWords } from './shell-words.ts';
import type { ReportUndeclared } from './undeclared.ts';
import type { MapEntry, Value } from './yaml-value.ts';

/** What the services of a file share. */
export interface ServiceSurroundings {
  readonly report: Report;
  readonly files: AppFiles;
  readonly lookup: Lookup;
  readonly networks: ReadonlyMap<string, Declared<AppNetwork>>;
  readonly volumes: ReadonlyMap<string, Declared<AppVolume>>;
  readonly configs: Readonly<Record<ConfigKind, ReadonlyMap<string, ConfigFile>>>;
  /** Active services and the names of their containers. */
  readonly containers: ReadonlyMap<string, string>;
  /** Services that exist, but whose profiles are not active. */
  readonly inactive: ReadonlySet<string>;
  readonly undeclared: ReportUndeclared;
}

export interface ReadService {
  readonly service: Service;
  /** Keys of the top-level networks and volumes that it uses. */
  readonly networkKeys: readonly string[];
  readonly volumeKeys: readonly string[];
}

const FIELDS = [
  'image', 'build', 'command', 'entrypoint', 'environment', 'env_file', 'labels', 'label_file', 'ports', 'volumes',
  'networks', 'network_mode', 'depends_on', 'healthcheck', 'restart', 'deploy', 'configs', 'secrets', 'container_name',
  'profiles', 'pull_policy', 'scale', 'attach',
]; // prettier-ignore

const SWARM = 'Remove it: there is one device and one container of each service.';
const UNSUPPORTED: Readonly<Record<string, string>> = {
  links: 'Services on one network find each other by name; use "networks" with "aliases".',
  external_links: 'Join an external network, and use the container name.',
  volumes_from: 'Name the volumes of the other service under "volumes".',
  develop: 'Remove it: a device does not build.',
  credential_spec: 'Remove it: it is for Windows containers.',
  isolation: 'Remove it: it is for Windows containers.',
  cpu_count: 'Use "cpus".',
  cpu_percent: 'Use "cpus".',
  post_start: 'Start the command from the entrypoint of the image.',
  pre_stop: 'Handle stop_signal in the image.',
  provider: 'Run a container instead.',
  models: 'Run the model in a container.',
  use_api_socket: 'Bind-mount /var/run/docker.sock.',
  pull_refresh_after: 'Remove it: images come with the bundle.',
  volume_driver: 'Use "driver_opts" of a named volume.',
};

/** Of older versions of the file. */
const NOT_IN_SPECIFICATION = ['volume_driver'];

/** Keys of a service that are read: each engine says what it makes of them. */
export const serviceKeys: readonly string[] = [...FIELDS, ...Object.keys(SETTINGS), 'extends'].sort();

/** Keys of a service that no device can honour, and what to do instead. */
export const refusedServiceKeys: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(UNSUPPORTED).filter(([key]) => !NOT_IN_SPECIFICATION.includes(key)),
);

/** One service, its short forms resolved. Reports what is wrong, and returns what could be read. */
export function readService(
  name: string,
  definition: MapEntry,
  surroundings: ServiceSurroundings,
): ReadService | undefined {
  const { report, files, lookup } = surroundings;
  const known = [...FIELDS, ...Object.keys(SETTINGS)];
  const keys = readKnownKeys(definition.value, `service "${name}"`, known, report, UNSUPPORTED);
  const get = (key: string) => keys.get(key)?.value;

  const dependsOn = readDependsOn(get('depends_on'), surroundings);
  const implied = (service: string, where: Location): string | undefined => {
    const container = surroundings.containers.get(service);
    if (container === undefined) reportUndefinedService(service, where, surroundings);
    else if (!dependsOn.some((dependency) => dependency.service === service)) {
      dependsOn.push({ service, condition: 'service_started', required: true });
    }
    return container;
  };

  const image = readImage(name, definition.where, keys, report);
  const deploy = readDeploy(get('deploy'), report);
  const restart = { restart: 'no' as const, ...deploy, ...readRestart(get('restart'), report) };
  const healthcheck = readHealthcheck(get('healthcheck'), report);

  const mode = readNetworkMode(get('network_mode'), report);
  const modeWhere = get('network_mode')?.where ?? definition.where;
  const modeContainer = mode.service === undefined ? undefined : implied(mode.service, modeWhere);
  const networkMode = mode.mode ?? (modeContainer === undefined ? undefined : `container:${modeContainer}`);
  const ownNetwork = networkMode === undefined && mode.service === undefined;
  const joined = ownNetwork
    ? readServiceNetworks(get('networks'), surroundings.networks, surroundings.undeclared, report)
    : undefined;
  const ports = readPorts(get('ports'), report);
  if (!ownNetwork && keys.has('networks')) {
    report.error('CONFLICT', keys.get('networks')!.where, 'network_mode and networks exclude each other', 'Remove one of them.'); // prettier-ignore
  }
  if (!ownNetwork && ports.length > 0 && networkMode !== 'bridge') {
    report.error('CONFLICT', keys.get('ports')!.where, `ports have no effect with network_mode ${networkMode ?? ''}`, 'Remove "ports".'); // prettier-ignore
  }

  const configs = readConfigMounts(
    'config',
    get('configs'),
    surroundings.configs.config,
    surroundings.undeclared,
    report,
  );
  const secrets = readConfigMounts(
    'secret',
    get('secrets'),
    surroundings.configs.secret,
    surroundings.undeclared,
    report,
  );
  const volumeKeys: string[] = [];
  const mounts = [
    ...readMounts(get('volumes'), files, (key, where) => {
      const volume = surroundings.volumes.get(key);
      if (volume) volumeKeys.push(key);
      else surroundings.undeclared('volume', key, where, `a file beside the Compose file is written "./${key}".`);
      return volume?.value.name;
    }, report),
    ...configs.mounts,
    ...secrets.mounts,
  ]; // prettier-ignore

  let settings: ContainerSettings = {};
  for (const [key, read] of Object.entries(SETTINGS)) {
    const value = get(key);
    if (value && !(value.kind === 'scalar' && value.value === null)) {
      settings = { ...settings, ...read(value, { report, files, containerOf: implied }) };
    }
  }
  for (const [setting, wanted] of Object.entries(deploy.settings) as [keyof ContainerSettings, unknown][]) {
    const own = settings[setting];
    if (own !== undefined && JSON.stringify(own) !== JSON.stringify(wanted)) {
      report.error('CONFLICT', keys.get('deploy')!.where, `deploy.resources (${JSON.stringify(wanted)}) contradicts the ${setting} of ${JSON.stringify(own)}`, 'Say it once.'); // prettier-ignore
    }
  }
  settings = { ...deploy.settings, ...settings };

  const entrypoint = readCommand(get('entrypoint'), report);
  const command = readCommand(get('command'), report);
  if (command?.length === 0 && entrypoint === undefined) {
    report.error('UNSUPPORTED_VALUE', keys.get('command')!.where, 'an empty command needs an entrypoint', 'Remove it, or set "entrypoint".'); // prettier-ignore
  }
  readWithoutEffect(keys, report);

  const containerName = readText(get('container_name'), report);
  const extension = definition.value.kind === 'map' ? definition.value.entries.get('x-boxship')?.value : undefined;
  const { classes: deviceClasses, places: classPlaces } = readDeviceClasses(extension, { mode: networkMode, where: keys.get('network_mode')?.where }, report); // prettier-ignore
  const service: Service = {
    name,
    where: definition.where,
    keyPlaces: { ...classPlaces, ...Object.fromEntries([...keys].map(([key, entry]) => [key, entry.where])) },
    image: image ?? '',
    ...(containerName === undefined ? {} : { containerName }),
    ...(command === undefined ? {} : { command }),
    ...(entrypoint === undefined ? {} : { entrypoint }),
    environment: readEnvironment(get('environment'), get('env_file'), files, lookup, report),
    ports,
    mounts,
    ...(secrets.secrets.length > 0 ? { secrets: secrets.secrets } : {}),
    networks: joined?.networks ?? [],
    ...(networkMode === undefined ? {} : { networkMode }),
    dependsOn,
    restart: restart.restart,
    ...(restart.restartMaxAttempts === undefined ? {} : { restartMaxAttempts: restart.restartMaxAttempts }),
    ...(healthcheck === undefined ? {} : { healthcheck }),
    labels: readServiceLabels(get('labels'), get('label_file'), files, report),
    ...(deviceClasses.length > 0 ? { deviceClasses } : {}),
    settings,
  };
  return { service, networkKeys: joined?.keys ?? [], volumeKeys };
}

function readImage(
  name: string,
  where: Location,
  keys: ReadonlyMap<string, MapEntry>,
  report: Report,
): string | undefined {
  const value = keys.get('image')?.value;
  const text = readText(value, report);
  if (text === undefined) {
    const build = keys.has('build');
    const hint = build
      ? 'Build the image before, and name it under "image"; the product file can say where it comes from.'
      : 'Add "image:".';
    if (!value || value.kind === 'scalar') report.error('IMAGE_MISSING', where, `service "${name}" has no image`, hint);
    return undefined;
  }
  const build = keys.get('build');
  if (build) report.note('IGNORED', build.where, '"build" is not used', `The image ${text} is taken as it is.`);
  const image = normalizeImageReference(text);
  if (image === undefined) {
    report.error('BAD_IMAGE', value!.where, `"${text}" is not an image reference`, 'Write name:tag or registry/name:tag, in lower case.'); // prettier-ignore
  }
  return image;
}

/** A string as Compose splits it, or a list; `undefined` for what the image says. */
function readCommand(value: Value | undefined, report: Report): readonly string[] | undefined {
  if (!value || (value.kind === 'scalar' && value.value === null)) return undefined;
  if (value.kind === 'list') return value.items.flatMap((item) => readScalarText(item, report) ?? []);
  const text = readText(value, report);
  if (text === undefined) return undefined;
  const result = splitShellWords(text);
  if ('words' in result) return result.words;
  report.error('BAD_COMMAND', value.where, result.error, result.hint);
  return undefined;
}

function reportUndefinedService(name: string, where: Location, { report, inactive }: ServiceSurroundings): void {
  if (inactive.has(name)) {
    report.error('INACTIVE_SERVICE', where, `the service "${name}" is in a profile that is not active`, 'Activate one of its profiles, or write "required: false".'); // prettier-ignore
  } else {
    report.error('UNDEFINED_SERVICE', where, `there is no service "${name}"`, 'Correct the name, or add the service.');
  }
}

function readDependsOn(value: Value | undefined, surroundings: ServiceSurroundings): Dependency[] {
  const { report, containers } = surroundings;
  const found: Dependency[] = [];
  const add = (service: string, condition: string, required: boolean, where: Location) => {
    if (containers.has(service)) found.push({ service, condition, required });
    else if (required || !surroundings.inactive.has(service)) reportUndefinedService(service, where, surroundings);
  };
  if (value?.kind === 'map') {
    for (const [service, entry] of value.entries) {
      const keys = readKnownKeys(entry.value, 'depends_on', ['condition', 'required', 'restart'], report);
      const condition = readWord(keys.get('condition')?.value, ['service_started', 'service_healthy', 'service_completed_successfully'], report); // prettier-ignore
      const required = readBoolean(keys.get('required')?.value, report) ?? true;
      const restart = keys.get('restart');
      if (restart && readBoolean(restart.value, report)) {
        report.error('UNSUPPORTED_VALUE', restart.where, 'restart: true is not supported', 'Let the service reconnect by itself.'); // prettier-ignore
      }
      add(service, condition ?? 'service_started', required, entry.where);
    }
  } else {
    for (const item of readList(value, report)) {
      const service = readText(item, report);
      if (service !== undefined) add(service, 'service_started', true, item.where);
    }
  }
  return found.sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** Keys that are checked, and do nothing on a device. */
function readWithoutEffect(keys: ReadonlyMap<string, MapEntry>, report: Report): void {
  const pull = keys.get('pull_policy');
  const policy = readText(pull?.value, report);
  if (pull && policy !== undefined && !['never', 'missing', 'if_not_present'].includes(policy)) {
    report.note('IGNORED', pull.where, `pull_policy "${policy}" is read as "never"`, 'Images come with the bundle.');
  }
  const scale = readInteger(keys.get('scale')?.value, report, { min: 0 });
  if (scale !== undefined && scale !== 1) {
    report.error('UNSUPPORTED_VALUE', keys.get('scale')!.where, `a scale of ${scale} is not supported`, SWARM);
  }
  readBoolean(keys.get('attach')?.value, report);
  readTexts(keys.get('profiles')?.value, report);
}
