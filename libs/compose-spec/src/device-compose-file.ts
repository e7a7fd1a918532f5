import { posix } from 'node:path';
import { stringify } from 'yaml';
import type { App } from '@boxship/model';
import type { ConfigFile, ConfigKind } from './config-files.ts';
import { shippedPath } from './app-folder.ts';
import { isRelativeSource, splitVolume } from './mounts.ts';
import type { MapEntry, MapValue, Value } from './yaml-value.ts';

type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

/** What a device has no use for, and what is written anew. */
const DROPPED = ['build', 'env_file', 'label_file', 'profiles', 'environment', 'labels', 'pull_policy'];

function plain(value: Value): Plain {
  if (value.kind === 'list') return value.items.map(plain);
  if (value.kind === 'map') return plainMap(value.entries);
  if (typeof value.value === 'string') return escape(value.value);
  if (typeof value.value !== 'number') return value.value;
  if (/^0[0-7]+$/.test(value.text)) return parseInt(value.text, 8); // as Compose reads `mode: 0440`
  return Number.isInteger(value.value) && !Number.isSafeInteger(value.value) ? value.text : value.value;
}

function plainMap(entries: MapValue['entries']): { [key: string]: Plain } {
  const kept = [...entries].filter(([key]) => !key.startsWith('x-'));
  return Object.fromEntries(kept.map(([key, entry]) => [key, plain(entry.value)]));
}

/** Compose on the device interpolates again. */
function escape(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function escapeValues(record: Readonly<Record<string, string>>): { [key: string]: Plain } {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, escape(value)]));
}

export interface DeviceComposeInput {
  readonly app: Omit<App, 'composeBytes' | 'composeFile'>;
  /** Active services, interpolated. */
  readonly services: ReadonlyMap<string, MapEntry>;
  /** Top-level networks and volumes by key, interpolated, those in use. */
  readonly networks: ReadonlyMap<string, MapEntry>;
  readonly volumes: ReadonlyMap<string, MapEntry>;
  readonly configs: Readonly<Record<ConfigKind, ReadonlyMap<string, ConfigFile>>>;
  /** Where the app's folder is on the device. */
  readonly deviceFolder: string;
}

/**
 * The Compose file as it will lie on the device: interpolated, without anything that must be read beside it there except
 * the app's own files, under absolute paths; images are never pulled. Equal inputs give equal bytes.
 */
export function writeDeviceComposeFile(input: DeviceComposeInput): Uint8Array {
  const { app, deviceFolder } = input;
  const onDevice = (source: string) =>
    escape(posix.join(deviceFolder, shippedPath(posix.normalize(source).replace(/\/+$/, ''))));
  const volume = (item: Plain): Plain => {
    if (typeof item === 'string') {
      const { source, target, options } = splitVolume(item);
      if (source === undefined || !isRelativeSource(source)) return item;
      const kept = options.filter((option) => option !== 'rw' && option !== 'ro');
      return [onDevice(source.replaceAll('$$', '$')), target, ['ro', ...kept].join(',')].join(':');
    }
    const mount = item as { [key: string]: Plain };
    const { type, source } = mount;
    if (type !== 'bind' || typeof source !== 'string' || source.startsWith('/')) return item;
    return { ...mount, source: onDevice(source.replaceAll('$$', '$')), read_only: true };
  };
  const security = (item: Plain): Plain => {
    const profile = /^seccomp[=:](?!unconfined$|builtin$|\/)(.+)$/.exec(String(item))?.[1];
    return profile === undefined ? item : `seccomp=${onDevice(profile.replaceAll('$$', '$'))}`;
  };

  const services: { [key: string]: Plain } = {};
  for (const service of app.services) {
    const definition = input.services.get(service.name)!.value as MapValue;
    const all = plainMap(definition.entries);
    const kept = Object.fromEntries(Object.entries(all).filter(([key]) => !DROPPED.includes(key)));
    if (Array.isArray(kept['volumes'])) kept['volumes'] = kept['volumes'].map(volume);
    if (Array.isArray(kept['security_opt'])) kept['security_opt'] = kept['security_opt'].map(security);
    if (kept['depends_on']) {
      const named = new Set(service.dependsOn.map((dependency) => dependency.service));
      kept['depends_on'] = Array.isArray(kept['depends_on'])
        ? kept['depends_on'].filter((name) => named.has(String(name)))
        : Object.fromEntries(Object.entries(kept['depends_on']).filter(([name]) => named.has(name)));
    }
    services[service.name] = {
      ...kept,
      ...(Object.keys(service.environment).length > 0 ? { environment: escapeValues(service.environment) } : {}),
      ...(Object.keys(service.labels).length > 0 ? { labels: escapeValues(service.labels) } : {}),
      pull_policy: 'never',
    };
  }
  const section = (name: string, entries: { [key: string]: Plain }) =>
    Object.keys(entries).length > 0 ? { [name]: entries } : {};
  const resources = (entries: ReadonlyMap<string, MapEntry>) =>
    Object.fromEntries([...entries].map(([key, entry]) => [key, plain(entry.value)]));
  const files = (kind: ConfigKind) =>
    Object.fromEntries(
      [...input.configs[kind]].flatMap(([key, config]) => {
        const path = config.shipped();
        return path === undefined ? [] : [[key, { file: escape(path) }]];
      }),
    );
  const document = {
    name: app.name,
    services,
    ...section('networks', resources(input.networks)),
    ...section('volumes', resources(input.volumes)),
    ...section('configs', files('config')),
    ...section('secrets', files('secret')),
  };
  const text = stringify(document, { lineWidth: 0, aliasDuplicateObjects: false, version: '1.2', defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' }); // prettier-ignore
  return Buffer.from(`# Made by Boxship from the Compose file of the app "${app.name}".\n${text}`);
}
