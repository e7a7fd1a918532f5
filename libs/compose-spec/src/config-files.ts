import type { AppSecret, Location, SecretPlace, ServiceMount, ServiceSecret } from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import type { Lookup } from './interpolation.ts';
import type { Report } from './report.ts';
import { readBoolean, readKnownKeys, readList, readMap, readText } from './scalar.ts';
import { readMode } from './mounts.ts';
import type { ReportUndeclared } from './undeclared.ts';
import type { Value } from './yaml-value.ts';

/** A config or a secret: gives its place on the device when it is used. */
export interface ConfigFile {
  readonly where: Location;
  /** A secret that is on the device already. */
  readonly place?: SecretPlace;
  /** Absolute path on the device; ships the file, unless it is there already. */
  deviceFile(mode: number | undefined, where: Location): string | undefined;
  /** The same path, once a service uses it. */
  shipped(): string | undefined;
}

/** Where a secret comes from, as the product file says it; by default it is a file on the data partition. */
export type SecretSource =
  | { readonly from: 'data'; readonly file: string }
  | { readonly from: 'credential'; readonly credential: string }
  /** What the Compose file names is put into the image. */
  | { readonly from: 'image' };

export interface SecretOptions {
  readonly project: string;
  readonly sources: Readonly<Record<string, SecretSource>>;
}

/** Below it lie the secrets of all apps: `<app>/<file>`. Made with the data partition's own tools, never by Boxship. */
const SECRETS_FOLDER = '/run/boxship/data/secrets';

export type ConfigKind = 'config' | 'secret';

/** Top-level `configs` or `secrets`: a file beside the Compose file, inline `content`, or a variable's value. */
export function readConfigFiles(
  kind: ConfigKind,
  value: Value | undefined,
  files: AppFiles,
  lookup: Lookup,
  report: Report,
  secrets?: SecretOptions,
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
    const external = get('external') && readBoolean(get('external'), report);
    const source = secrets && Object.hasOwn(secrets.sources, key) ? secrets.sources[key]! : undefined;
    if (external && (kind === 'config' || source?.from === 'image')) {
      const hint =
        kind === 'config' ? 'Give it a "file".' : 'Give it a "file", or take "bake" out of the product file.';
      report.error('UNSUPPORTED_VALUE', where, `the ${what} is external, but a device has no swarm`, hint);
      continue;
    }
    const file = readText(get('file'), report);
    const content = readText(get('content'), report);
    const variable = readText(get('environment'), report);
    if (!external && [file, content, variable].filter((given) => given !== undefined).length !== 1) {
      report.error('BAD_CONFIG', where, `the ${what} needs one of file, content, environment`, 'Write "file: ./path".');
      continue;
    }
    if (secrets && source?.from !== 'image') {
      const own = readText(get('name'), report) ?? key;
      const place: SecretPlace =
        source?.from === 'credential'
          ? source
          : { from: 'data', path: `${SECRETS_FOLDER}/${secrets.project}/${source?.file ?? own}` };
      let used = false;
      const path = place.from === 'data' ? place.path : `/run/credentials/${key}`; // whoever starts the app knows the unit
      const deviceFile = (mode: number | undefined, use: Location) => {
        used = true;
        if (mode !== undefined) {
          report.error('UNSUPPORTED_VALUE', use, `the ${what} has a mode, but is a file of the device`, 'Remove "mode"; give the file its mode on the device.'); // prettier-ignore
        }
        return path;
      };
      found.set(key, { where, place, deviceFile, shipped: () => (used ? path : undefined) });
      continue;
    }
    if (kind === 'secret') {
      report.note('SECRET_IN_IMAGE', where, `the ${what} can be read by whoever has the image`, 'It is for trying things: compose --release refuses it.'); // prettier-ignore
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

/** `configs` or `secrets` of a service: read-only bind mounts of the app's files, and secrets of the device. */
export function readConfigMounts(
  kind: ConfigKind,
  value: Value | undefined,
  declared: ReadonlyMap<string, ConfigFile>,
  undeclared: ReportUndeclared,
  report: Report,
): { readonly mounts: readonly ServiceMount[]; readonly secrets: readonly ServiceSecret[] } {
  const mounts: ServiceMount[] = [];
  const secrets: ServiceSecret[] = [];
  for (const item of readList(value, report)) {
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
      continue;
    }
    const config = declared.get(source);
    if (!config) {
      undeclared(kind, source, item.where);
      continue;
    }
    const path = config.deviceFile(mode, item.where);
    const absolute = target.startsWith('/') ? target : kind === 'config' ? `/${target}` : `/run/secrets/${target}`;
    if (/[:,]/.test(absolute)) {
      report.error('BAD_CONFIG', item.where, `the path "${absolute}" holds ":" or ","`, 'Choose another target.');
      continue;
    }
    if (config.place) secrets.push({ name: source, target: absolute, place: config.place });
    else if (path !== undefined) mounts.push({ type: 'bind', source: path, target: absolute, readOnly: true });
  }
  return { mounts, secrets };
}

/** Secrets that services use, by name. */
export function usedSecrets(declared: ReadonlyMap<string, ConfigFile>): readonly AppSecret[] {
  return [...declared]
    .filter(([, config]) => config.shipped() !== undefined)
    .map(([name, { place }]): AppSecret => ({ name, place: place ?? { from: 'image' } }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
