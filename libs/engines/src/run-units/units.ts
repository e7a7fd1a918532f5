import type { App, AppNetwork, AppVolume, Digest, Service, Tree, TreeEntry } from '@boxship/model';
import { appFileEntries, treeOf } from '../app-files.ts';
import { generatedFile } from '../entries.ts';
import { loadTemplate } from '../template-files.ts';
import { renderTemplate } from '../templates.ts';
import { containerArguments, containerName, serviceUnitName, type LogPolicy } from './run-arguments.ts';
import { checkUnitName, commandLine, settingText } from './systemd-text.ts';

/** An engine with a command like docker's, and what differs from one to the other. */
export interface RunDialect {
  /** Absolute path of the command. */
  readonly program: string;
  /** Units that must run for the command to work: the daemon's, if there is one. */
  readonly engineUnits: readonly string[];
  /** Log options for a service that says nothing of logging. */
  readonly log: LogPolicy;
  /** Log driver of such a service when the options name none. */
  readonly defaultLogDriver: string;
}

export interface RunUnitsOptions {
  /** Time of every generated file, seconds since 1970. */
  readonly epoch: number;
  /** The apps' output goes to the device's console too, not to the journal alone. */
  readonly console?: boolean;
}

const TEMPLATES = 'engines/run-units/apps/[app]';
/** Compose's own time for a container to stop (compose-spec "stop_grace_period"), seconds. */
const STOP_SECONDS = 10;

/**
 * What starts an app through a command like docker's, below `apps/<app>/` of the store partition: systemd units in `units/`,
 * the scripts they use, the app's own files and its Compose file. A service's unit says `WantedBy=boxship-apps.target`;
 * networks and volumes are pulled in. The units run from images in the engine's store only (`--pull=never`); `imageIds`
 * gives what the engine calls the image of each reference of the app.
 */
export function runUnits(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  dialect: RunDialect,
  options: RunUnitsOptions,
): Tree {
  const { epoch } = options;
  const device: Device = {
    ...dialect,
    folder: `/run/boxship/store/apps/${app.name}`,
    console: options.console ?? false,
  };
  const units = new Map<string, string>();
  for (const network of app.networks) {
    if (!network.external) units.set(resourceUnit(app, 'network', network.name), networkUnit(app, network, device));
  }
  for (const volume of app.volumes) {
    if (!volume.external) units.set(resourceUnit(app, 'volume', volume.name), volumeUnit(app, volume, device));
  }
  for (const service of app.services) {
    const imageId = imageIds.get(service.image);
    if (!imageId) throw new Error(`no image id for ${service.image}`);
    const unit = serviceUnitName(app, service.name);
    if (units.has(unit)) throw new Error(`two units are named ${unit}`);
    units.set(unit, serviceUnit(app, service, imageId, device));
  }
  const folder = `apps/${app.name}`;
  const entries: TreeEntry[] = [...units].map(([unit, text]) =>
    generatedFile(`${folder}/units/${unit}`, text, 0o644, epoch),
  );
  const scripts = ['await.sh', 'ensure.sh', 'if-there.sh'];
  if (app.services.some(({ deviceNodes = [] }) => deviceNodes.length > 0)) scripts.push('with-devices.sh');
  for (const script of scripts) {
    entries.push(generatedFile(`${folder}/${script}`, loadTemplate(`${TEMPLATES}/${script}`), 0o755, epoch));
  }
  return treeOf([...entries, ...appFileEntries(app, epoch)], epoch);
}

interface Device extends RunDialect {
  /** The app's folder. */
  readonly folder: string;
  readonly console: boolean;
}

/** Without the app's name, which networks and volumes of Compose begin with. */
function shortName(app: App, name: string): string {
  return name.startsWith(`${app.name}_`) ? name.slice(app.name.length + 1) : name;
}

function resourceUnit(app: App, kind: 'network' | 'volume', name: string): string {
  // "_" cannot be followed by a service of that name: services' units have "-" there
  return checkUnitName(`boxship-${app.name}_${kind}-${shortName(app, name)}.service`);
}

function networkUnit(app: App, network: AppNetwork, device: Device): string {
  return renderResource(app, 'network', network.name, device, [
    ...(network.driver === undefined ? [] : [`--driver=${network.driver}`]),
    ...(network.internal ? ['--internal'] : []),
    ...Object.entries(network.driverOptions).map(([key, value]) => `--opt=${key}=${value}`),
    ...(network.attachable ? ['--attachable'] : []),
    ...(network.enableIpv6 ? ['--ipv6'] : []),
    ...ipamOptions(network.ipam),
    ...labelOptions(network.labels),
  ]);
}

function ipamOptions(ipam: AppNetwork['ipam']): readonly string[] {
  if (!ipam) return [];
  return [
    ...(ipam.driver === undefined ? [] : [`--ipam-driver=${ipam.driver}`]),
    ...Object.entries(ipam.options).map(([key, value]) => `--ipam-opt=${key}=${value}`),
    ...ipam.pools.flatMap(({ subnet, ipRange, gateway, auxAddresses }) => [
      ...(subnet === undefined ? [] : [`--subnet=${subnet}`]),
      ...(ipRange === undefined ? [] : [`--ip-range=${ipRange}`]),
      ...(gateway === undefined ? [] : [`--gateway=${gateway}`]),
      ...Object.entries(auxAddresses).map(([name, address]) => `--aux-address=${name}=${address}`),
    ]),
  ];
}

function labelOptions(labels: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.keys(labels)
    .sort()
    .map((key) => `--label=${key}=${labels[key]}`);
}

function volumeUnit(app: App, volume: AppVolume, device: Device): string {
  return renderResource(app, 'volume', volume.name, device, [
    ...Object.entries(volume.driverOptions).map(([key, value]) => `--opt=${key}=${value}`),
    ...labelOptions(volume.labels),
  ]);
}

function renderResource(
  app: App,
  kind: 'network' | 'volume',
  name: string,
  device: Device,
  options: readonly string[],
): string {
  const labels = [`--label=com.docker.compose.project=${app.name}`, `--label=com.docker.compose.${kind}=${shortName(app, name)}`]; // prettier-ignore
  return renderTemplate(`${TEMPLATES}/units/boxship-[app]_[kind]-[name].service`, {
    app: app.name,
    kind,
    description: settingText(`Boxship app ${app.name}: ${kind} ${shortName(app, name)}`),
    engineUnits: device.engineUnits,
    start: commandLine('/bin/sh', [`${device.folder}/ensure.sh`, device.program, kind, name, ...options, ...labels]),
  });
}

function serviceUnit(app: App, service: Service, imageId: Digest, device: Device): string {
  const { program, folder } = device;
  const { name, create, connect } = containerArguments(app, service, imageId, device.log);
  const awaited = app.services.some((other) =>
    other.dependsOn.some(
      (item) => item.service === service.name && item.condition === 'service_completed_successfully',
    ),
  );
  // Attached to an open standard input, `docker run` would want a terminal or end the input at once.
  const inTwoSteps = connect.length > 0 || service.settings.stdinOpen === true;
  const ifThere = (...command: string[]) =>
    commandLine('/bin/sh', [`${folder}/if-there.sh`, program, name, ...command], '-');
  const nodes = service.deviceNodes ?? [];
  const make = (verb: 'run' | 'create') =>
    nodes.length === 0
      ? commandLine(program, [verb, ...create])
      : commandLine('/bin/sh', [`${folder}/with-devices.sh`, ...nodes, '--', program, verb, ...create]);
  const startPre = [
    ifThere('rm', '--force', '--volumes'),
    ...service.dependsOn.map((dependency) => {
      const other = app.services.find((candidate) => candidate.name === dependency.service);
      if (!other) throw new Error(`${service.name} depends on ${dependency.service}, which is not there`);
      const need = dependency.required ? 'required' : 'optional';
      return commandLine('/bin/sh', [`${folder}/await.sh`, program, dependency.condition, need, containerName(app, other), serviceUnitName(app, other.name)]); // prettier-ignore
    }),
    ...(inTwoSteps ? [make('create')] : []),
    ...connect.map((args) => commandLine(program, ['network', 'connect', ...args])),
  ];
  const resources = [
    ...app.networks
      .filter(({ name: network, external }) => !external && service.networks.some((joined) => joined.name === network))
      .map(({ name: network }) => resourceUnit(app, 'network', network)),
    ...app.volumes
      .filter(({ name: volume, external }) => !external && service.mounts.some((item) => item.type === 'volume' && item.source === volume))
      .map(({ name: volume }) => resourceUnit(app, 'volume', volume)),
  ]; // prettier-ignore
  const attempts = service.restartMaxAttempts;
  const endless = service.restart === 'always' || service.restart === 'unless-stopped';
  return renderTemplate(`${TEMPLATES}/units/boxship-[app]-[service].service`, {
    app: app.name,
    service: service.name,
    description: settingText(`Boxship app ${app.name}: ${service.name}`),
    engineUnits: device.engineUnits,
    resources,
    dependencies: service.dependsOn.map((dependency) => serviceUnitName(app, dependency.service)),
    // never give up, or give up for good after so many restarts
    startLimitInterval: attempts === undefined ? '0' : 'infinity',
    startLimitBurst: attempts === undefined ? '' : attempts + 1,
    credentials: (service.secrets ?? []).flatMap(({ name: secret, place }) =>
      place.from === 'credential' ? [`${secret}:${place.credential}`] : [],
    ),
    type: awaited ? 'oneshot' : 'exec',
    remain: awaited,
    startPre,
    start: inTwoSteps ? commandLine(program, ['start', '--attach', name]) : make('run'),
    // a container that has ended by itself is gone already
    stop: ifThere('stop'),
    // systemd refuses "always" for a oneshot; what is to be completed is done when it has succeeded
    restart: service.restart === 'no' ? 'no' : endless && !awaited ? 'always' : 'on-failure',
    stopTimeout: stopSeconds(service) + 30,
    // 143 is 128 + SIGTERM: stopped as asked. With on-failure it must stay a failure, as it is for the engine.
    successStatus: service.restart === 'on-failure' || awaited ? '' : '143',
    ...output(service, device),
    identifier: `${app.name}-${service.name}`,
  });
}

/** What `docker stop` waits before it kills, seconds. */
function stopSeconds({ settings }: Service): number {
  return settings.stopGracePeriod ?? STOP_SECONDS;
}

function output(
  { settings }: Service,
  device: Device,
): { readonly standardOutput: string; readonly standardError: string } {
  const own = settings.logging?.driver;
  // the engine writes to the journal by itself: once is enough; the command's own errors still get there
  const byEngine = (own ?? device.defaultLogDriver) === 'journald';
  if (device.console) return { standardOutput: 'journal+console', standardError: 'journal+console' };
  return { standardOutput: byEngine ? 'null' : 'journal', standardError: 'journal' };
}
