import { isIP } from 'node:net';
import type { App, Location } from '@boxship/model';
import type { Report } from './report.ts';
import {
  readBoolean,
  readKnownKeys,
  readLabels,
  readList,
  readMap,
  readScalarText,
  readText,
  readWord,
} from './scalar.ts';
import type { Value } from './yaml-value.ts';

/** A network of an app, under the name that the engine knows it by (`<app>_<key>`, or its own `name:`). */
export type AppNetwork = App['networks'][number] & {
  /** Further options in the words of `docker network create`, one per element, in a fixed order. */
  readonly createOptions: readonly string[];
};

/** A named volume, under the name that the engine knows it by. */
export type AppVolume = App['volumes'][number] & {
  /** Further options in the words of `docker volume create`. */
  readonly createOptions: readonly string[];
};

export interface Declared<T> {
  readonly where: Location;
  readonly value: T;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** `external: true`, or the old `external: {name: …}`. */
function readExternal(
  value: Value | undefined,
  report: Report,
): { readonly external: boolean; readonly name?: string } {
  if (value?.kind !== 'map') return { external: readBoolean(value, report) ?? false };
  const name = readText(readKnownKeys(value, 'external', ['name'], report).get('name')?.value, report);
  return { external: true, ...(name === undefined ? {} : { name }) };
}

function engineName(project: string, key: string, own: string | undefined, external: boolean): string {
  return own ?? (external ? key : `${project}_${key}`);
}

function checkName(name: string, where: Location, report: Report): void {
  if (NAME.test(name)) return;
  report.error('BAD_NAME', where, `"${name}" is not a name that the engine takes`, 'Use letters, digits, "_", "." and "-".'); // prettier-ignore
}

/** Top-level `networks` by key, and `default`, which every app has. */
export function readNetworks(
  value: Value | undefined,
  project: string,
  report: Report,
): Map<string, Declared<AppNetwork>> {
  const networks = new Map<string, Declared<AppNetwork>>();
  for (const [key, entry] of readMap(value, report)) {
    if (key.startsWith('x-')) continue;
    const keys = readKnownKeys(
      entry.value,
      `network "${key}"`,
      ['name', 'external', 'driver', 'driver_opts', 'internal', 'attachable', 'enable_ipv6', 'ipam', 'labels'],
      report,
      { enable_ipv4: 'Remove it: IPv4 is on.' },
    );
    const get = (name: string) => keys.get(name)?.value;
    const { external, name: externalName } = readExternal(get('external'), report);
    const name = engineName(project, key, readText(get('name'), report) ?? externalName, external);
    checkName(name, entry.where, report);
    const driver = readText(get('driver'), report);
    const createOptions = [
      ...(readBoolean(get('attachable'), report) ? ['--attachable'] : []),
      ...(readBoolean(get('enable_ipv6'), report) ? ['--ipv6'] : []),
      ...readIpam(get('ipam'), report),
      ...labelOptions(get('labels'), report),
    ];
    networks.set(key, {
      where: entry.where,
      value: {
        name,
        external,
        ...(driver === undefined ? {} : { driver }),
        internal: readBoolean(get('internal'), report) ?? false,
        driverOptions: readLabels(get('driver_opts'), report),
        createOptions,
      },
    });
  }
  if (!networks.has('default')) {
    const implied = {
      name: `${project}_default`,
      external: false,
      internal: false,
      driverOptions: {},
      createOptions: [],
    };
    networks.set('default', { where: value?.where ?? { file: '' }, value: implied });
  }
  return networks;
}

function labelOptions(value: Value | undefined, report: Report): string[] {
  return Object.entries(readLabels(value, report))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => `--label=${key}=${text}`);
}

function readIpam(value: Value | undefined, report: Report): string[] {
  const ipam = readKnownKeys(value, 'ipam', ['driver', 'config', 'options'], report);
  const options: string[] = [];
  const driver = readText(ipam.get('driver')?.value, report);
  if (driver !== undefined && driver !== 'default') options.push(`--ipam-driver=${driver}`);
  for (const [key, text] of Object.entries(readLabels(ipam.get('options')?.value, report))) {
    options.push(`--ipam-opt=${key}=${text}`);
  }
  for (const item of readList(ipam.get('config')?.value, report)) {
    const keys = readKnownKeys(item, 'ipam config', ['subnet', 'gateway', 'ip_range', 'aux_addresses'], report);
    for (const key of ['subnet', 'ip_range', 'gateway'] as const) {
      const entry = keys.get(key)?.value;
      const text = readText(entry, report);
      if (text === undefined) continue;
      const [address = '', bits] = text.split('/');
      const family = isIP(address);
      const valid =
        key === 'gateway'
          ? bits === undefined
          : /^\d{1,3}$/.test(bits ?? '') && Number(bits) <= (family === 6 ? 128 : 32);
      if (family === 0 || !valid) {
        const wanted = key === 'gateway' ? 'an address' : 'a network as in 172.28.0.0/16';
        report.error('BAD_ADDRESS', entry!.where, `"${text}" is not ${wanted}`, `Correct ${key}.`);
      }
      options.push(`--${key.replace('_', '-')}=${text}`);
    }
    for (const [name, address] of Object.entries(readLabels(keys.get('aux_addresses')?.value, report))) {
      options.push(`--aux-address=${name}=${address}`);
    }
  }
  return options;
}

/** Top-level `volumes` by key. */
export function readVolumes(
  value: Value | undefined,
  project: string,
  report: Report,
): Map<string, Declared<AppVolume>> {
  const volumes = new Map<string, Declared<AppVolume>>();
  for (const [key, entry] of readMap(value, report)) {
    if (key.startsWith('x-')) continue;
    const keys = readKnownKeys(entry.value, `volume "${key}"`, ['name', 'external', 'driver', 'driver_opts', 'labels'], report); // prettier-ignore
    const get = (name: string) => keys.get(name)?.value;
    const { external, name: externalName } = readExternal(get('external'), report);
    const name = engineName(project, key, readText(get('name'), report) ?? externalName, external);
    checkName(name, entry.where, report);
    const driver = readText(get('driver'), report);
    if (driver !== undefined && driver !== 'local') {
      report.error('UNSUPPORTED_VALUE', get('driver')!.where, `the volume driver "${driver}" is not supported`, 'Use the local driver; driver_opts can mount NFS and others.'); // prettier-ignore
    }
    volumes.set(key, {
      where: entry.where,
      value: {
        name,
        external,
        driverOptions: readLabels(get('driver_opts'), report),
        createOptions: labelOptions(get('labels'), report),
      },
    });
  }
  return volumes;
}

/** Networks that a service joins, the one with the highest priority first, and run options for its addresses. */
export interface ServiceNetworks {
  readonly networks: readonly { readonly name: string; readonly aliases: readonly string[] }[];
  readonly runOptions: readonly string[];
  /** Keys under top-level `networks`. */
  readonly keys: readonly string[];
}

const NO_NETWORK_KEY = {
  driver_opts: 'Set driver_opts of the network itself.',
  gw_priority: 'Use "priority".',
  interface_name: 'Remove it; the interfaces are eth0, eth1, ….',
};

/** `networks` of a service; without the key, the default network. */
export function readServiceNetworks(
  value: Value | undefined,
  declared: ReadonlyMap<string, Declared<AppNetwork>>,
  report: Report,
): ServiceNetworks {
  const joined: { key: string; name: string; aliases: string[]; priority: number; options: string[]; where: Location }[] = []; // prettier-ignore
  const join = (key: string, where: Location, settings?: Value) => {
    const network = declared.get(key);
    if (!network) {
      report.error(
        'UNDEFINED_NETWORK',
        where,
        `there is no network "${key}"`,
        `Add "${key}:" under top-level "networks".`,
      );
    }
    const keys = readKnownKeys(
      settings,
      'a network of a service',
      ['aliases', 'ipv4_address', 'ipv6_address', 'link_local_ips', 'mac_address', 'priority'],
      report,
      NO_NETWORK_KEY,
    );
    const options: string[] = [];
    for (const [name, option, family] of [
      ['ipv4_address', '--ip', 4],
      ['ipv6_address', '--ip6', 6],
    ] as const) {
      const text = readText(keys.get(name)?.value, report);
      if (text === undefined) continue;
      if (isIP(text) !== family) {
        report.error('BAD_ADDRESS', keys.get(name)!.where, `"${text}" is not an IPv${family} address`, 'Correct it.');
      }
      options.push(`${option}=${text}`);
    }
    for (const item of readList(keys.get('link_local_ips')?.value, report)) {
      options.push(`--link-local-ip=${readText(item, report) ?? ''}`);
    }
    const mac = readText(keys.get('mac_address')?.value, report);
    if (mac !== undefined) options.push(`--mac-address=${mac}`);
    const aliases = readList(keys.get('aliases')?.value, report).flatMap((item) => readText(item, report) ?? []);
    const priority = Number(readScalarText(keys.get('priority')?.value, report) ?? 0);
    if (network) joined.push({ key, name: network.value.name, aliases, priority, options, where });
  };
  if (!value || (value.kind === 'scalar' && value.value === null)) join('default', { file: '' });
  else if (value.kind === 'map') for (const [key, entry] of value.entries) join(key, entry.where, entry.value);
  else {
    for (const item of readList(value, report)) {
      const key = readText(item, report);
      if (key !== undefined) join(key, item.where);
    }
  }
  joined.sort((a, b) => b.priority - a.priority || (a.key < b.key ? -1 : 1));
  const addressed = joined.filter(({ options }) => options.length > 0);
  if (addressed.length > 0 && joined.length > 1) {
    report.error('UNSUPPORTED_VALUE', addressed[0]!.where, 'fixed addresses are supported for a service on one network only', 'Leave the other networks, or let the engine choose the address.'); // prettier-ignore
  }
  return {
    networks: joined.map(({ name, aliases }) => ({ name, aliases })),
    runOptions: addressed.flatMap(({ options }) => options),
    keys: joined.map(({ key }) => key),
  };
}

/** `network_mode`; `service:x` becomes the engine's `container:<name>`. */
export function readNetworkMode(
  value: Value | undefined,
  report: Report,
): { readonly mode?: string; readonly service?: string } {
  const text = readText(value, report);
  if (text === undefined) return {};
  if (text.startsWith('service:')) return { service: text.slice('service:'.length) };
  if (['none', 'host', 'bridge'].includes(text) || /^container:[\w.-]+$/.test(text)) return { mode: text };
  readWord(value, ['none', 'host', 'bridge', 'service:NAME', 'container:NAME'], report);
  return {};
}
