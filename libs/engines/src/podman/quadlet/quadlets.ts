import type {
  App,
  AppNetwork,
  AppVolume,
  DeviceFacts,
  Digest,
  JoinedNetwork,
  Service,
  Tree,
  TreeEntry,
} from '@boxship/model';
import { appFileEntries, treeOf } from '../../app-files.ts';
import type { StartOptions } from '../../engine.ts';
import { generatedFile } from '../../entries.ts';
import { hostPathLines, hostPathScripts } from '../../run-units/host-paths.ts';
import { credentialsOf, lifetimeOf, WAIT_SCRIPTS, waitLines } from '../../run-units/lifetime.ts';
import {
  networkOptions,
  resourceUnitName,
  resourceUnits,
  shortName,
  usedResources,
  volumeOptions,
} from '../../run-units/resource-units.ts';
import {
  containerCommand,
  containerName,
  containerOptions,
  labelOptions,
  serviceUnitName,
} from '../../run-units/run-arguments.ts';
import { checkUnitName, commandLine, quoteArgument, settingText } from '../../run-units/systemd-text.ts';
import { loadTemplate } from '../../template-files.ts';
import { renderTemplate } from '../../templates.ts';
import { containerLines, isPlainText, networkLines, volumeLines } from './option-lines.ts';
import { isSince, type PodmanVersion } from './versions.ts';

const RUN_UNITS = 'engines/run-units/apps/[app]';
const TEMPLATES = 'engines/podman/apps/[app]';
/** /run/containers/systemd is read: before, the generator must be told to. */
const READS_RUN: PodmanVersion = [5, 3];
const GENERATOR = '/usr/lib/systemd/system-generators/podman-system-generator';
/** VolumeName= and NetworkName=: before, the generator chose names, and data would be left behind in others. */
const NAMED_RESOURCES: PodmanVersion = [4, 7];
/** `[Quadlet] DefaultDependencies=`: without it, units wait for network-online.target from 5.2 on. */
export const DEFAULT_DEPENDENCIES: PodmanVersion = [5, 3];

/** The generator forgets empty arguments; a variable in braces is always one (systemd.service(5), "Command lines"). */
const EMPTY_WORD = '${BOXSHIP_EMPTY}';

interface Device {
  readonly app: App;
  readonly version: PodmanVersion;
  /** Absolute path of podman. */
  readonly program: string;
  /** The app's folder. */
  readonly folder: string;
  readonly console: boolean;
}

/**
 * What starts an app through podman's own generator, below `apps/<app>/` of the store partition: Quadlet files in `quadlets/`,
 * which the device socket puts into /run/containers/systemd; the scripts they use; the app's own files and its Compose file.
 * The generator makes units of the names that `podman run` units have, and of the same meaning.
 */
export function podmanQuadlets(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  version: PodmanVersion,
  facts: DeviceFacts,
  { epoch, console }: StartOptions,
): Tree {
  const program = facts.engines.find(({ name }) => name === 'podman')?.program ?? '/usr/bin/podman';
  const device: Device = { app, version, program, folder: `/run/boxship/store/apps/${app.name}`, console };
  const quadlets = new Map<string, string>();
  const units = isSince(version, NAMED_RESOURCES)
    ? new Map<string, string>()
    : resourceUnits(app, { program, engineUnits: [], folder: device.folder });
  if (isSince(version, NAMED_RESOURCES)) {
    for (const network of app.networks) if (!network.external) quadlets.set(resourceFile(app, 'network', network.name), networkFile(network, device));
    for (const volume of app.volumes) if (!volume.external) quadlets.set(resourceFile(app, 'volume', volume.name), volumeFile(volume, device));
  }
  for (const service of app.services) {
    const imageId = imageIds.get(service.image);
    if (!imageId) throw new Error(`no image id for ${service.image}`);
    quadlets.set(serviceUnitName(app, service.name).replace(/service$/, 'container'), containerFile(service, imageId, device));
  }
  const followed = app.services.filter((service) => logOf(service, device) === 'journald');
  if (console && followed.length > 0) units.set(checkUnitName(`boxship-${app.name}_console.service`), consoleUnit(followed, device));
  const scripts = WAIT_SCRIPTS.map((name) => `${RUN_UNITS}/${name}`);
  if (app.services.some(({ deviceNodes = [] }) => deviceNodes.length > 0)) scripts.push(`${RUN_UNITS}/device-options.sh`);
  scripts.push(...hostPathScripts(app.services).map((script) => `${RUN_UNITS}/${script}`));
  if (!isSince(version, NAMED_RESOURCES)) scripts.push(`${RUN_UNITS}/ensure.sh`);
  const entries: TreeEntry[] = [
    ...makerEntries(app, version, facts, epoch),
    ...[...quadlets].map(([name, text]) => generatedFile(`apps/${app.name}/quadlets/${name}`, text, 0o644, epoch)),
    ...[...units].map(([name, text]) => generatedFile(`apps/${app.name}/units/${name}`, text, 0o644, epoch)),
    ...scripts.map((script) => generatedFile(`apps/${app.name}/${script.slice(script.lastIndexOf('/') + 1)}`, loadTemplate(script), 0o755, epoch)),
  ];
  return treeOf([...entries, ...appFileEntries(app, epoch)], epoch);
} // prettier-ignore

/** `_` cannot begin the name of a service: its file would have `-` there. */
function resourceFile(app: App, kind: 'network' | 'volume', name: string): string {
  return checkUnitName(`boxship-${app.name}_${shortName(app, name)}.${kind}`);
}

function containerFile(service: Service, imageId: Digest, device: Device): string {
  const { app, version, program, folder, console } = device;
  const life = lifetimeOf(app, service);
  const nodes = service.deviceNodes ?? [];
  const deviceFile = `/run/boxship/devices/${serviceUnitName(app, service.name)}`;
  const command = containerCommand(service);
  const options = [...networks(service, device), ...containerOptions(app, service).map((option) => namedVolume(option, device))];
  return renderTemplate(`${TEMPLATES}/quadlets/boxship-[app]-[service].container`, {
    app: app.name,
    service: service.name,
    description: settingText(`Boxship app ${app.name}: ${service.name}`),
    resources: unnamedUnits(service, options, device),
    dependencies: service.dependsOn.map((dependency) => serviceUnitName(app, dependency.service)),
    startLimitInterval: life.startLimitInterval,
    startLimitBurst: life.startLimitBurst,
    container: [
      `ContainerName=${containerName(app, service)}`,
      `Image=${imageId}`,
      ...containerLines(
        [
          '--pull=never',
          ...labelOptions(app, service),
          ...logOptions(service, device),
          ...options,
          // the payload is in a group of its own making then, not in the unit's
          ...(service.settings.cgroupParent === undefined ? [] : ['--cgroups=enabled']),
        ],
        version,
      ),
      ...(nodes.length > 0 ? ['PodmanArgs=$BOXSHIP_DEVICES'] : []),
      ...(command.length > 0 ? [`Exec=${command.map((word) => (word === '' ? EMPTY_WORD : quoteArgument(word))).join(' ')}`] : []),
    ],
    noDefaultDependencies: isSince(version, DEFAULT_DEPENDENCIES),
    oneshot: life.isAwaited,
    environmentFile: nodes.length > 0 ? deviceFile : '',
    hasEmptyWord: command.includes(''),
    credentials: credentialsOf(service),
    startPre: [
      ...waitLines(app, service, [program], folder),
      ...hostPathLines(service, folder),
      ...(nodes.length > 0 ? [commandLine('/bin/sh', [`${folder}/device-options.sh`, `--to=${deviceFile}`, ...nodes])] : []),
    ],
    restart: life.restart,
    stopTimeout: life.stopTimeout,
    successStatus: life.successStatus,
    standardOutput: hasOutput(service, device) ? (console ? 'journal+console' : 'journal') : 'null',
    standardError: console ? 'journal+console' : 'journal',
    identifier: identifierOf(app, service),
  });
} // prettier-ignore

function identifierOf(app: App, service: Service): string {
  return `${app.name}-${service.name}`;
}

/** The log driver of a service. One that others wait for runs attached, as a oneshot does: its unit has its output then. */
function logOf(service: Service, { app }: Device): string {
  return service.settings.logging?.driver ?? (lifetimeOf(app, service).isAwaited ? 'k8s-file' : 'journald');
}

/**
 * podman writes what a container prints to the journal by itself, under the name that its unit has there. Not passthrough:
 * many images write to /dev/stdout, which cannot be opened when it is a socket.
 */
function logOptions(service: Service, device: Device): readonly string[] {
  if (service.settings.logging?.driver !== undefined) return []; // among the options of its settings
  const driver = logOf(service, device);
  return driver === 'journald'
    ? ['--log-driver=journald', `--log-opt=tag=${identifierOf(device.app, service)}`]
    : [`--log-driver=${driver}`, '--log-opt=max-size=1mb'];
}

/** Whether the standard output of the unit is that of the container, and not just the id that `podman run --detach` prints. */
function hasOutput(service: Service, device: Device): boolean {
  const driver = logOf(service, device);
  return lifetimeOf(device.app, service).isAwaited ? driver !== 'journald' : driver.startsWith('passthrough');
}

/** Options of each network with its own names and addresses (podman-run(1), "--network"). */
function networks(service: Service, { app, version }: Device): readonly string[] {
  if (service.networkMode !== undefined) return [`--network=${service.networkMode}`];
  return service.networks.map((joined) => {
    const own = app.networks.some(({ name, external }) => name === joined.name && !external);
    const settings = networkSettings(joined, service);
    const rest = settings.length > 0 ? `:${settings.join(',')}` : '';
    const byFile = own && isSince(version, NAMED_RESOURCES) && isPlainText(rest || 'none');
    return `--network=${byFile ? resourceFile(app, 'network', joined.name) : joined.name}${rest}`;
  });
}

function networkSettings(joined: JoinedNetwork, service: Service): readonly string[] {
  const isEngines = ['bridge', 'host', 'none'].includes(joined.name); // the engine's own networks have no names
  return [
    ...(isEngines ? [] : [...new Set([service.name, ...joined.aliases])].map((alias) => `alias=${alias}`)),
    ...(joined.ipv4Address === undefined ? [] : [`ip=${joined.ipv4Address}`]),
    ...(joined.ipv6Address === undefined ? [] : [`ip6=${joined.ipv6Address}`]),
    ...(joined.macAddress === undefined ? [] : [`mac=${joined.macAddress}`]),
  ];
}

/** A volume that the app makes is named by its Quadlet file, whose unit then comes first. */
function namedVolume(option: string, { app, version }: Device): string {
  const [, source, rest] = /^--volume=([^/:]+)(:[^]*)$/.exec(option) ?? [];
  const own = app.volumes.some(({ name, external }) => name === source && !external);
  return source !== undefined && own && isSince(version, NAMED_RESOURCES) && isPlainText(rest!)
    ? `--volume=${resourceFile(app, 'volume', source)}${rest}`
    : option;
}

/** Units of networks and volumes that no option names by their file: the generator adds nothing for them. */
function unnamedUnits(service: Service, options: readonly string[], { app, version }: Device): readonly string[] {
  return usedResources(app, service).flatMap(({ kind, name }) => {
    if (!isSince(version, NAMED_RESOURCES)) return [resourceUnitName(app, kind, name)];
    const file = resourceFile(app, kind, name);
    const isNamed = options.some((option) => option === `--${kind}=${file}` || option.startsWith(`--${kind}=${file}:`));
    return isNamed ? [] : [`${file.slice(0, -kind.length - 1)}-${kind}.service`];
  });
}

function networkFile(network: AppNetwork, device: Device): string {
  const pools = network.ipam?.pools ?? [];
  // a key of each pool for itself: the generator pairs the first gateway with the first subnet, and so on
  const inKeys = pools.every(({ subnet }) => subnet !== undefined) && (pools.length < 2 || pools.every((pool) => pool.gateway && pool.ipRange)); // prettier-ignore
  const options = networkOptions(device.app, network).filter((option) => !inKeys || !/^--(subnet|gateway|ip-range)=/.test(option)); // prettier-ignore
  return resourceText('network', network.name, device, [
    `NetworkName=${network.name}`,
    ...(inKeys ? pools.flatMap(({ subnet, gateway, ipRange }) => [`Subnet=${subnet}`, ...(gateway ? [`Gateway=${gateway}`] : []), ...(ipRange ? [`IPRange=${ipRange}`] : [])]) : []),
    ...networkLines(options, device.version),
  ]);
} // prettier-ignore

function volumeFile(volume: AppVolume, device: Device): string {
  const { type, device: source, o, ...others } = volume.driverOptions;
  // without Device= the generator takes neither of the other two
  const inKeys = source !== undefined && Object.keys(others).length === 0 && [type, source, o].every((value) => value === undefined || /^[\w./:=,@-]+$/.test(value)); // prettier-ignore
  const options = volumeOptions(device.app, volume).filter((option) => !inKeys || !option.startsWith('--opt='));
  return resourceText('volume', volume.name, device, [
    `VolumeName=${volume.name}`,
    ...(inKeys ? [`Device=${source}`, ...(type === undefined ? [] : [`Type=${type}`]), ...(o === undefined ? [] : [`Options=${o}`])] : []),
    ...volumeLines(options, device.version),
  ]);
} // prettier-ignore

function resourceText(kind: 'network' | 'volume', name: string, { app, version }: Device, lines: readonly string[]): string {
  return renderTemplate(`${TEMPLATES}/quadlets/boxship-[app]_[name].${kind}`, {
    app: app.name,
    description: settingText(`Boxship app ${app.name}: ${kind} ${shortName(app, name)}`),
    lines,
    noDefaultDependencies: isSince(version, DEFAULT_DEPENDENCIES),
  });
} // prettier-ignore

/** Copies what podman writes to the journal to the device's console. */
function consoleUnit(services: readonly Service[], { app }: Device): string {
  return renderTemplate(`${TEMPLATES}/units/boxship-[app]_console.service`, {
    app: app.name,
    description: settingText(`Boxship app ${app.name}: what it prints, on the console`),
    follow: commandLine('/usr/bin/journalctl', [
      ...['--boot', '--follow', '--lines=all', '--output=cat', '_COMM=conmon'],
      ...services.map(({ name }) => `_SYSTEMD_UNIT=${serviceUnitName(app, name)}`),
    ]),
  });
}

/** Runs the generator where systemd's own run of it has found nothing. */
/** What runs the generator for a podman that does not look into /run/containers/systemd by itself. */
export function makerEntries(
  app: App,
  version: PodmanVersion,
  facts: DeviceFacts,
  epoch: number,
): readonly TreeEntry[] {
  if (isSince(version, READS_RUN)) return [];
  const folder = `apps/${app.name}`;
  const unit = makerUnit({ app, folder: `/run/boxship/store/${folder}` }, facts);
  return [
    generatedFile(`${folder}/make-units.sh`, loadTemplate(`${TEMPLATES}/make-units.sh`), 0o755, epoch),
    generatedFile(`${folder}/units/${checkUnitName(`boxship-${app.name}_quadlets.service`)}`, unit, 0o644, epoch),
  ];
}

function makerUnit({ app, folder }: Pick<Device, 'app' | 'folder'>, { mergedUsr }: DeviceFacts): string {
  const generator = mergedUsr ? GENERATOR : GENERATOR.replace('/usr/lib/', '/lib/');
  return renderTemplate(`${TEMPLATES}/units/boxship-[app]_quadlets.service`, {
    app: app.name,
    description: settingText(`Boxship app ${app.name}: units of its Quadlet files`),
    start: commandLine('/bin/sh', [`${folder}/make-units.sh`, generator, '/run/systemd/system']),
  });
}
