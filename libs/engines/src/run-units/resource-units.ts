import type { App, AppNetwork, AppVolume, Service } from '@boxship/model';
import { renderTemplate } from '../templates.ts';
import { checkUnitName, commandLine, settingText } from './systemd-text.ts';

const TEMPLATE = 'engines/run-units/apps/[app]/units/boxship-[app]_[kind]-[name].service';

/** What runs the command that makes a network or a volume. */
export interface ResourceMaker {
  /** Absolute path of the command. */
  readonly program: string;
  /** Units that must run for the command to work. */
  readonly engineUnits: readonly string[];
  /** The app's folder on the device, which has `ensure.sh`. */
  readonly folder: string;
}

export type ResourceKind = 'network' | 'volume';

/** Text of a unit for each network and volume that the app makes, by the unit's name. */
export function resourceUnits(app: App, maker: ResourceMaker): Map<string, string> {
  const units = new Map<string, string>();
  const add = (kind: ResourceKind, name: string, options: readonly string[]) =>
    units.set(resourceUnitName(app, kind, name), renderResource(app, kind, name, maker, options));
  for (const network of app.networks) if (!network.external) add('network', network.name, networkOptions(app, network));
  for (const volume of app.volumes) if (!volume.external) add('volume', volume.name, volumeOptions(app, volume));
  return units;
}

export function resourceUnitName(app: App, kind: ResourceKind, name: string): string {
  // "_" cannot be followed by a service of that name: services' units have "-" there
  return checkUnitName(`boxship-${app.name}_${kind}-${shortName(app, name)}.service`);
}

/** Networks and volumes that the app makes and the service needs. */
export function usedResources(app: App, service: Service): readonly { kind: ResourceKind; name: string }[] {
  return [
    ...app.networks
      .filter(({ name, external }) => !external && service.networks.some((joined) => joined.name === name))
      .map(({ name }) => ({ kind: 'network' as const, name })),
    ...app.volumes
      .filter(({ name, external }) => !external && service.mounts.some((item) => item.type === 'volume' && item.source === name))
      .map(({ name }) => ({ kind: 'volume' as const, name })),
  ];
} // prettier-ignore

/** Without the app's name, which networks and volumes of Compose begin with. */
export function shortName(app: App, name: string): string {
  return name.startsWith(`${app.name}_`) ? name.slice(app.name.length + 1) : name;
}

/** Options of `network create`. */
export function networkOptions(app: App, network: AppNetwork): readonly string[] {
  return [
    ...(network.driver === undefined ? [] : [`--driver=${network.driver}`]),
    ...(network.internal ? ['--internal'] : []),
    ...Object.entries(network.driverOptions).map(([key, value]) => `--opt=${key}=${value}`),
    ...(network.attachable ? ['--attachable'] : []),
    ...(network.enableIpv6 ? ['--ipv6'] : []),
    ...ipamOptions(network.ipam),
    ...labels(app, 'network', network),
  ];
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

/** Options of `volume create`. */
export function volumeOptions(app: App, volume: AppVolume): readonly string[] {
  return [
    ...Object.entries(volume.driverOptions).map(([key, value]) => `--opt=${key}=${value}`),
    ...labels(app, 'volume', volume),
  ];
}

/** Its own labels, and those that Compose looks for. */
function labels(app: App, kind: ResourceKind, { name, labels: own = {} }: AppNetwork | AppVolume): readonly string[] {
  return [
    ...Object.keys(own).sort().map((key) => `--label=${key}=${own[key]}`),
    `--label=com.docker.compose.project=${app.name}`,
    `--label=com.docker.compose.${kind}=${shortName(app, name)}`,
  ];
} // prettier-ignore

function renderResource(
  app: App,
  kind: ResourceKind,
  name: string,
  maker: ResourceMaker,
  options: readonly string[],
): string {
  return renderTemplate(TEMPLATE, {
    app: app.name,
    kind,
    description: settingText(`Boxship app ${app.name}: ${kind} ${shortName(app, name)}`),
    engineUnits: maker.engineUnits,
    start: commandLine('/bin/sh', [`${maker.folder}/ensure.sh`, maker.program, kind, name, ...options]),
  });
}
