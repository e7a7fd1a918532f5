import type { Location, ServiceMount } from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import type { Lookup } from './interpolation.ts';
import type { Report } from './report.ts';
import { readBoolean, readKnownKeys, readList, readMap, readText } from './scalar.ts';
import { readMode } from './mounts.ts';
import type { Value } from './yaml-value.ts';

/** A config or a secret: gives its place on the device when it is used. */
export interface ConfigFile {
  readonly where: Location;
  /** Absolute path on the device; ships the file. */
  deviceFile(mode: number | undefined, where: Location): string | undefined;
  /** The same path, once a service uses it. */
  shipped(): string | undefined;
}

export type ConfigKind = 'config' | 'secret';

/** Top-level `configs` or `secrets`: a file beside the Compose file, inline `content`, or a variable's value. */
export function readConfigFiles(
  kind: ConfigKind,
  value: Value | undefined,
  files: AppFiles,
  lookup: Lookup,
  report: Report,
): ReadonlyMap<string, ConfigFile> {
  const found = new Map<string, ConfigFile>();
  for (const [key, { where, value: definition }] of readMap(value, report)) {
    if (key.startsWith('x-')) continue;
    const what = `${kind} "${key}"`;
    const keys = readKnownKeys(
      definition,
      what,
      ['file', 'environment', 'external', 'name', ...(kind === 'config' ? ['content'] : [])],
      report,
      {
        driver: 'Use "file".',
        driver_opts: 'Use "file".',
        template_driver: 'Write the file as it shall be.',
        labels: 'Remove them: a file has no labels.',
      },
    );
    const get = (name: string) => keys.get(name)?.value;
    if (!/^[a-zA-Z0-9._-]+$/.test(key)) {
      report.error('BAD_NAME', where, `"${key}" is not a name`, 'Use letters, digits, "_", "." and "-".');
    }
    if (get('external') && readBoolean(get('external'), report)) {
      report.error(
        'UNSUPPORTED_VALUE',
        where,
        `the ${what} is external, but a device has no swarm`,
        'Give it a "file".',
      );
      continue;
    }
    const file = readText(get('file'), report);
    const content = readText(get('content'), report);
    const variable = readText(get('environment'), report);
    if ([file, content, variable].filter((source) => source !== undefined).length !== 1) {
      report.error('BAD_CONFIG', where, `the ${what} needs one of file, content, environment`, 'Write "file: ./path".');
      continue;
    }
    if (kind === 'secret') {
      report.note('SECRET_IN_IMAGE', where, `the ${what} can be read by whoever has the image`, 'Provision real secrets on the device, and bind-mount them from there.'); // prettier-ignore
    }
    let path: string | undefined;
    const add = (ship: (mode: number | undefined, use: Location) => string | undefined) =>
      found.set(key, {
        where,
        deviceFile: (mode, use) => (path = ship(mode, use)),
        shipped: () => path,
      });
    const made = (bytes: Uint8Array) => (mode: number | undefined, use: Location) =>
      files.shipBytes(`${kind}s/${key}`, bytes, mode ?? 0o444, use);
    if (content !== undefined) add(made(Buffer.from(content)));
    else if (variable !== undefined) {
      const text = lookup(variable);
      if (text === undefined) {
        report.error('UNSET_VARIABLE', where, `the variable ${variable} of ${what} is not set`, `Set ${variable} in the .env file or in the product file.`); // prettier-ignore
      }
      add(made(Buffer.from(text ?? '')));
    } else add((mode, use) => (file!.startsWith('/') ? file : files.ship(file!, use, what, mode)));
  }
  return found;
}

const NO_OWNER = 'Remove it: the file is mounted as it is, and belongs to root.';

/** `configs` or `secrets` of a service, as read-only bind mounts. */
export function readConfigMounts(
  kind: ConfigKind,
  value: Value | undefined,
  declared: ReadonlyMap<string, ConfigFile>,
  report: Report,
): readonly ServiceMount[] {
  return readList(value, report).flatMap((item): readonly ServiceMount[] => {
    const keys =
      item.kind === 'map'
        ? readKnownKeys(item, `a ${kind} of a service`, ['source', 'target', 'mode'], report, { uid: NO_OWNER, gid: NO_OWNER }) // prettier-ignore
        : undefined;
    const source = readText(keys ? keys.get('source')?.value : item, report);
    const mode = readMode(keys?.get('mode')?.value, report);
    const target = readText(keys?.get('target')?.value, report) ?? source;
    if (source === undefined || target === undefined) {
      if (keys && !keys.has('source'))
        report.error('BAD_CONFIG', item.where, 'the source is missing', `Name a ${kind}.`);
      return [];
    }
    const config = declared.get(source);
    if (!config) {
      report.error(`UNDEFINED_${kind.toUpperCase()}`, item.where, `there is no ${kind} "${source}"`, `Add "${source}:" under top-level "${kind}s".`); // prettier-ignore
      return [];
    }
    const path = config.deviceFile(mode, item.where);
    const absolute = target.startsWith('/') ? target : kind === 'config' ? `/${target}` : `/run/secrets/${target}`;
    if (/[:,]/.test(absolute)) {
      report.error('BAD_CONFIG', item.where, `the path "${absolute}" holds ":" or ","`, 'Choose another target.');
      return [];
    }
    return path === undefined ? [] : [{ type: 'bind', source: path, target: absolute, readOnly: true }];
  });
}
