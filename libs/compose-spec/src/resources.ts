import { isIP } from 'node:net';
import type { AddressPool, AppNetwork, AppVolume, JoinedNetwork, Location } from '@boxship/model';
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
import type { ReportUndeclared } from './undeclared.ts';
import type { Value } from './yaml-value.ts';

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
    const ipam = readIpam(get('ipam'), report);
    const labels = readLabels(get('labels'), report);
    networks.set(key, {
      where: entry.where,
      value: {
        name,
        where: entry.where,
        external,
        ...(driver === undefined ? {} : { driver }),
        internal: readBoolean(get('internal'), report) ?? false,
        ...(readBoolean(get('attachable'), report) ? { attachable: true } : {}),
        ...(readBoolean(get('enable_ipv6'), report) ? { enableIpv6: true } : {}),
        driverOptions: readLabels(get('driver_opts'), report),
        ...(Object.keys(labels).length > 0 ? { labels } : {}),
        ...(ipam ? { ipam } : {}),
      },
    });
  }
  if (!networks.has('default')) {
    const implied = {
      name: `${project}_default`,
      external: false,
      internal: false,
      driverOptions: {},
    };
    networks.set('default', { where: value?.where ?? { file: '' }, value: implied });
  }
  return networks;
}

function readIpam(value: Value | undefined, report: Report): AppNetwork['ipam'] {
  const ipam = readKnownKeys(value, 'ipam', ['driver', 'config', 'options'], report);
  const driver = readText(ipam.get('driver')?.value, report);
  const options = readLabels(ipam.get('options')?.value, report);
  const pools = readList(ipam.get('config')?.value, report).map((item): AddressPool => {
    const keys = readKnownKeys(item, 'ipam config', ['subnet', 'gateway', 'ip_range', 'aux_addresses'], report);
    const address = (key: 'subnet' | 'ip_range' | 'gateway') => {
      const entry = keys.get(key)?.value;
      const text = readText(entry, report);
      if (text === undefined) return undefined;
      const [ip = '', bits] = text.split('/');
      const family = isIP(ip);
      const valid = key === 'gateway' ? bits === undefined : /^\d{1,3}$/.test(bits ?? '') && Number(bits) <= (family === 6 ? 128 : 32); // prettier-ignore
      if (family === 0 || !valid) {
        const wanted = key === 'gateway' ? 'an address' : 'a network as in 172.28.0.0/16';
        report.error('BAD_ADDRESS', entry!.where, `"${text}" is not ${wanted}`, `Correct ${key}.`);
      }
      return text;
    };
    const [subnet, ipRange, gateway] = [address('subnet'), address('ip_range'), address('gateway')];
    return {
      ...(subnet === undefined ? {} : { subnet }),
      ...(ipRange === undefined ? {} : { ipRange }),
      ...(gateway === undefined ? {} : { gateway }),
      auxAddresses: readLabels(keys.get('aux_addresses')?.value, report),
    };
  });
  const ownDriver = driver === undefined || driver === 'default' ? undefined : driver;
  if (ownDriver === undefined && pools.length === 0 && Object.keys(options).length === 0) return undefined;
  return { ...(ownDriver === undefined ? {} : { driver: ownDriver }), options, pools };
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
    const labels = readLabels(get('labels'), report);
    volumes.set(key, {
      where: entry.where,
      value: {
        name,
        external,
        driverOptions: readLabels(get('driver_opts'), report),
        ...(Object.keys(labels).length > 0 ? { labels } : {}),
      },
    });
  }
  return volumes;
}

/** Networks that a service joins, the one with the highest priority first. */
export interface ServiceNetworks {
  readonly networks: readonly JoinedNetwork[];
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
  undeclared: ReportUndeclared,
  report: Report,
): ServiceNetworks {
  const joined: { key: string; priority: number; network: JoinedNetwork }[] = [];
  const join = (key: string, where: Location, settings?: Value) => {
    const network = declared.get(key);
    if (!network) undeclared('network', key, where);
    const keys = readKnownKeys(
      settings,
      'a network of a service',
      ['aliases', 'ipv4_address', 'ipv6_address', 'link_local_ips', 'mac_address', 'priority'],
      report,
      NO_NETWORK_KEY,
    );
    const address = (name: 'ipv4_address' | 'ipv6_address', family: 4 | 6) => {
      const text = readText(keys.get(name)?.value, report);
      if (text !== undefined && isIP(text) !== family) {
        report.error('BAD_ADDRESS', keys.get(name)!.where, `"${text}" is not an IPv${family} address`, 'Correct it.');
      }
      return text;
    };
    const [ipv4Address, ipv6Address] = [address('ipv4_address', 4), address('ipv6_address', 6)];
    const linkLocalIps = readList(keys.get('link_local_ips')?.value, report).flatMap((item) => readText(item, report) ?? []); // prettier-ignore
    const macAddress = readText(keys.get('mac_address')?.value, report);
    const aliases = readList(keys.get('aliases')?.value, report).flatMap((item) => readText(item, report) ?? []);
    const priority = Number(readScalarText(keys.get('priority')?.value, report) ?? 0);
    if (!network) return;
    joined.push({
      key,
      priority,
      network: {
        name: network.value.name,
        aliases,
        ...(ipv4Address === undefined ? {} : { ipv4Address }),
        ...(ipv6Address === undefined ? {} : { ipv6Address }),
        ...(linkLocalIps.length > 0 ? { linkLocalIps } : {}),
        ...(macAddress === undefined ? {} : { macAddress }),
      },
    });
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
  return { networks: joined.map(({ network }) => network), keys: joined.map(({ key }) => key) };
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
