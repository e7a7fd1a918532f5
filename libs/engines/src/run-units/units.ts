import type { App, Digest, Service, Tree, TreeEntry } from '@boxship/model';
import { appFileEntries, treeOf } from '../app-files.ts';
import { generatedFile } from '../entries.ts';
import { loadTemplate } from '../template-files.ts';
import { hostPathLines, hostPathScripts } from './host-paths.ts';
import { WAIT_SCRIPTS, waitLines } from './lifetime.ts';
import { resourceUnitName, resourceUnits, usedResources } from './resource-units.ts';
import { containerArguments, serviceUnitName, type LogPolicy } from './run-arguments.ts';
import { serviceUnitText, type ServiceCommands } from './service-unit.ts';
import { commandLine } from './systemd-text.ts';

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
  /** Whether the engine makes a folder of the device that is to be mounted and is not there. */
  readonly makesHostPaths: boolean;
}

export interface RunUnitsOptions {
  /** Time of every generated file, seconds since 1970. */
  readonly epoch: number;
  /** The apps' output goes to the device's console too, not to the journal alone. */
  readonly console?: boolean;
}

const TEMPLATES = 'engines/run-units/apps/[app]';

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
  const units = resourceUnits(app, device);
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
  const scripts = [...WAIT_SCRIPTS, 'ensure.sh', 'if-there.sh'];
  if (app.services.some(({ deviceNodes = [] }) => deviceNodes.length > 0))
    scripts.push('device-options.sh', 'with-devices.sh');
  if (!dialect.makesHostPaths) scripts.push(...hostPathScripts(app.services));
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

function serviceUnit(app: App, service: Service, imageId: Digest, device: Device): string {
  const { program, folder } = device;
  const { name, create, connect } = containerArguments(app, service, imageId, device.log);
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
    ...waitLines(app, service, [program], folder),
    ...(device.makesHostPaths ? [] : hostPathLines(service, folder)),
    ...(inTwoSteps ? [make('create')] : []),
    ...connect.map((args) => commandLine(program, ['network', 'connect', ...args])),
  ];
  const resources = usedResources(app, service).map((used) => resourceUnitName(app, used.kind, used.name));
  return serviceUnitText(app, service, {
    engineUnits: device.engineUnits,
    resources,
    startPre,
    start: inTwoSteps ? commandLine(program, ['start', '--attach', name]) : make('run'),
    // a container that has ended by itself is gone already
    stop: ifThere('stop'),
    ...output(service, device),
    identifier: `${app.name}-${service.name}`,
  });
}

function output({ settings }: Service, device: Device): Pick<ServiceCommands, 'standardOutput' | 'standardError'> {
  const own = settings.logging?.driver;
  // the engine writes to the journal by itself: once is enough; the command's own errors still get there
  const byEngine = (own ?? device.defaultLogDriver) === 'journald';
  if (device.console) return { standardOutput: 'journal+console', standardError: 'journal+console' };
  return { standardOutput: byEngine ? 'null' : 'journal', standardError: 'journal' };
}
