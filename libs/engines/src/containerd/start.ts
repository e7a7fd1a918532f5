import {
  UserError,
  type App,
  type DeviceFacts,
  type Digest,
  type Service,
  type ServiceMount,
  type Tree,
} from '@boxship/model';
import { appFileEntries, treeOf } from '../app-files.ts';
import type { StartOptions } from '../engine.ts';
import { generatedFile } from '../entries.ts';
import { hostPathLines, hostPathScripts } from '../run-units/host-paths.ts';
import { stopSeconds, WAIT_SCRIPTS, waitLines } from '../run-units/lifetime.ts';
import { containerName, serviceUnitName } from '../run-units/run-arguments.ts';
import { serviceUnitText } from '../run-units/service-unit.ts';
import { commandLine } from '../run-units/systemd-text.ts';
import { loadTemplate } from '../template-files.ts';
import { capabilityOptions } from './capabilities.ts';
import { checkCtrWords } from './refused-settings.ts';
import { ctrOptions, mountOption } from './run-options.ts';
import { VOLUMES } from './socket.ts';

const RUN_UNITS = 'engines/run-units/apps/[app]';
const TEMPLATES = 'engines/containerd/apps/[app]';
const SCRIPTS = ['container-state.sh', 'container.sh', 'run.sh', 'volume.sh'];

/** What a service runs on. */
interface Device {
  /** Absolute path of `ctr`. */
  readonly ctr: string;
  readonly namespace: string;
  /** The app's folder. */
  readonly folder: string;
  readonly console: boolean;
  readonly engineUnit: string;
}

/**
 * What starts an app through containerd's own `ctr`, below `apps/<app>/` of the store partition: one systemd unit for each
 * service, which stays attached to its container. `ctr` has no networks, no health checks and no volumes: a volume is a folder
 * of the data partition, the rest is refused. Errors: NOT_FOR_ENGINE, all at once.
 */
export function ctrUnits(
  app: App,
  _imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  { epoch, console, start, namespace = 'default' }: StartOptions,
): Tree {
  if (start !== undefined && start !== 'units') {
    throw new UserError(
      'NOT_FOR_ENGINE',
      `engine.start is ${start}, which is not for containerd`,
      'Write start: units, or leave it out.',
    );
  }
  const containerd = facts.engines.find(({ name }) => name === 'containerd');
  checkCtrWords(app, containerd?.version);
  const device: Device = {
    ctr: facts.programs['ctr'] ?? '/usr/bin/ctr',
    namespace,
    folder: `/run/boxship/store/apps/${app.name}`,
    console,
    engineUnit: containerd?.unit ?? 'containerd.service',
  };
  const folder = `apps/${app.name}`;
  return treeOf(
    [
      ...app.services.map((service) =>
        generatedFile(`${folder}/units/${serviceUnitName(app, service.name)}`, serviceUnit(app, service, device), 0o644, epoch),
      ),
      ...SCRIPTS.map((name) => generatedFile(`${folder}/${name}`, loadTemplate(`${TEMPLATES}/${name}`), 0o755, epoch)),
      ...[WAIT_SCRIPTS[0], ...hostPathScripts(app.services)].map((name) => generatedFile(`${folder}/${name}`, loadTemplate(`${RUN_UNITS}/${name}`), 0o755, epoch)),
      ...appFileEntries(app, epoch),
    ],
    epoch,
  );
} // prettier-ignore

function serviceUnit(app: App, service: Service, device: Device): string {
  const { ctr, namespace, folder, console, engineUnit } = device;
  const { settings } = service;
  const id = containerName(app, service);
  const script = (name: string, ...args: readonly string[]) => commandLine('/bin/sh', [`${folder}/${name}`, ...args]);
  const signal = settings.stopSignal === undefined ? [] : [settings.stopSignal];
  const output = console ? 'journal+console' : settings.logging?.driver === 'none' ? 'null' : 'journal';
  return serviceUnitText(app, service, {
    engineUnits: [engineUnit],
    resources: [],
    startPre: [
      script('container.sh', ctr, namespace, id, 'clean'),
      ...volumeLines(app, service, device),
      ...hostPathLines(service, folder),
      ...waitLines(app, service, [ctr, namespace], folder),
    ],
    start:
      service.networkMode === 'host'
        ? script('run.sh', ctr, namespace, ...ctrRunArguments(app, service))
        : commandLine(ctr, ['-n', namespace, 'run', ...ctrRunArguments(app, service)]),
    stop: script('container.sh', ctr, namespace, id, 'stop', String(stopSeconds(service)), ...signal),
    standardOutput: output,
    standardError: console ? 'journal+console' : 'journal',
    identifier: settings.logging?.options['tag'] ?? `${app.name}-${service.name}`,
  });
}

/** Arguments of `ctr run` so that the container is, as far as it has the words, the one that Compose would make of `service`. */
export function ctrRunArguments(app: App, service: Service): readonly string[] {
  const { settings, environment, labels } = service;
  return [
    '--rm',
    // not --net-host, which does not start where /etc/hosts or /etc/resolv.conf is missing
    ...(service.networkMode === 'host' ? ['--with-ns=network:/proc/1/ns/net'] : []),
    `--label=com.docker.compose.project=${app.name}`,
    `--label=com.docker.compose.service=${service.name}`,
    ...Object.entries(labels).map(([key, value]) => `--label=${key}=${value}`),
    ...Object.entries(environment).map(([key, value]) => `--env=${key}=${value}`),
    ...service.mounts.map(mountWords),
    ...(service.secrets ?? []).map(({ name, target, place }) => {
      const source =
        place.from === 'data' ? place.path : `/run/credentials/${serviceUnitName(app, service.name)}/${name}`;
      return mountOption('bind', source, target, ['rbind', 'ro']);
    }),
    ...(settings.privileged ? [] : capabilityOptions(settings.capAdd ?? [], settings.capDrop ?? [])),
    ...ctrOptions(settings).options,
    service.image,
    containerName(app, service),
    ...(service.command ?? []),
  ];
}

function mountWords(mount: ServiceMount): string {
  if (mount.type === 'tmpfs') {
    const { size, mode } = mount;
    return mountOption('tmpfs', 'tmpfs', mount.target, [
      ...['nosuid', 'nodev'],
      ...(size === undefined ? [] : [`size=${size}`]),
      ...(mode === undefined ? [] : [`mode=${mode.toString(8).padStart(4, '0')}`]),
    ]);
  }
  const source = mount.type === 'volume' ? volumeFolder(mount.source) : mount.source;
  const propagation = mount.type === 'bind' ? mount.propagation : undefined;
  return mountOption('bind', source, mount.target, [
    'rbind',
    mount.readOnly ? 'ro' : 'rw',
    ...(propagation === undefined ? [] : [propagation]),
  ]);
}

function volumeFolder(name: string): string {
  return `${VOLUMES}/${name}`;
}

/** A named volume is made at first use, with what the image has there. */
function volumeLines(app: App, service: Service, { ctr, namespace, folder }: Device): readonly string[] {
  return service.mounts.flatMap((mount) => {
    const make = (...args: readonly string[]) => [commandLine('/bin/sh', [`${folder}/volume.sh`, ...args])];
    if (mount.type === 'volume') {
      const isExternal = app.volumes.some(({ name, external }) => external && name === mount.source);
      if (isExternal) return []; // there already, or the service does not start
      const fill = mount.noCopy ? [] : [ctr, namespace, service.image, mount.target];
      return make(volumeFolder(mount.source), ...fill);
    }
    return [];
  });
}
