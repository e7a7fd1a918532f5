import { posix } from 'node:path';
import type { Location, ServiceMount } from '@boxship/model';
import type { AppFiles } from './app-folder.ts';
import type { Report } from './report.ts';
import { readBoolean, readBytes, readInteger, readKnownKeys, readList, readText, readWord } from './scalar.ts';
import type { Value } from './yaml-value.ts';

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
const SELINUX_HINT = 'Remove it; Boxship labels what it adds to an SELinux base.';
const HINT = 'Write NAME:/path, /path/on/device:/path or ./file:/path, with :ro behind it for read-only.';

/** Name of a volume as the engine knows it, from its key under top-level `volumes`; reports an undefined one. */
export type VolumeName = (key: string, where: Location) => string | undefined;

/** True for a source that stands beside the Compose file (`./x`, `../x`, `.`, `..`). */
export function isRelativeSource(source: string): boolean {
  return source === '.' || source === '..' || source.startsWith('./') || source.startsWith('../');
}

/** Parts of a short-form volume: `SOURCE:TARGET:OPTIONS`, `SOURCE:TARGET` or `TARGET`. */
export function splitVolume(text: string): {
  readonly source?: string;
  readonly target: string;
  readonly options: readonly string[];
} {
  const parts = text.split(':');
  if (parts.length === 1) return { target: text, options: [] };
  return { source: parts[0]!, target: parts[1]!, options: parts.slice(2).flatMap((part) => part.split(',')) };
}

/** `volumes` of a service (compose-spec 05-services.md "volumes"). An anonymous volume has the source `''`. */
export function readMounts(
  value: Value | undefined,
  files: AppFiles,
  volumeName: VolumeName,
  report: Report,
): readonly ServiceMount[] {
  const mounts: ServiceMount[] = [];
  const targets = new Map<string, Location>();
  for (const item of readList(value, report)) {
    const mount =
      item.kind === 'map'
        ? readLongForm(item, files, volumeName, report)
        : readShortForm(item, files, volumeName, report);
    if (!mount) continue;
    const other = targets.get(mount.target);
    if (other) {
      report.error('DUPLICATE_MOUNT', item.where, `two volumes are mounted at ${mount.target}`, 'Remove one of them.', [{ what: 'the first of them', where: other }]); // prettier-ignore
    }
    targets.set(mount.target, item.where);
    mounts.push(mount);
  }
  return mounts;
}

function checkTarget(target: string | undefined, where: Location, report: Report): string | undefined {
  if (target?.startsWith('/') && !/[:,]/.test(target) && posix.normalize(target) !== '/') {
    return posix.normalize(target).replace(/\/$/, '');
  }
  const found = target ? `"${target}" is no path that a volume can be mounted at` : 'the volume has no target';
  report.error('BAD_VOLUME', where, found, 'Give an absolute path in the container, without ":" and ",".');
  return undefined;
}

interface BindOptions {
  readonly readOnly: boolean;
  readonly propagation?: string;
}

function bindMount(
  source: string,
  target: string,
  options: BindOptions,
  where: Location,
  files: AppFiles,
  report: Report,
): ServiceMount | undefined {
  const { propagation } = options;
  let { readOnly } = options;
  let path: string | undefined = posix.normalize(source);
  if (source.startsWith('~')) {
    report.error(
      'BAD_VOLUME',
      where,
      `"${source}" depends on who is logged in`,
      'Give an absolute path on the device.',
    );
    return undefined;
  }
  if (!source.startsWith('/')) {
    path = files.ship(source, where, 'bind mount');
    if (path !== undefined && !readOnly) {
      readOnly = true;
      report.note('BIND_READ_ONLY', where, `"${source}" is mounted read-only: files shipped with an app are signed`, 'Write :ro; for data that changes use a named volume.'); // prettier-ignore
    }
  }
  if (path === undefined) return undefined;
  if (/[:,]/.test(path)) {
    report.error('BAD_VOLUME', where, `the path "${path}" holds ":" or ","`, 'Rename it: docker run cannot mount it.');
    return undefined;
  }
  return { type: 'bind', source: path, target, readOnly, ...(propagation ? { propagation } : {}) };
}

function readShortForm(item: Value, files: AppFiles, volumeName: VolumeName, report: Report): ServiceMount | undefined {
  const text = readText(item, report);
  if (text === undefined) return undefined;
  const { source, target: rawTarget, options } = splitVolume(text);
  const target = checkTarget(rawTarget, item.where, report);
  let readOnly = false;
  let noCopy = false;
  let propagation: string | undefined;
  for (const option of options) {
    if (option === 'ro') readOnly = true;
    else if (option === 'nocopy') noCopy = true;
    else if ((PROPAGATIONS as readonly string[]).includes(option)) propagation = option;
    else if (option === 'z' || option === 'Z') {
      report.error('UNSUPPORTED_VALUE', item.where, `the volume option "${option}" is not supported`, SELINUX_HINT);
    } else if (!['rw', 'consistent', 'cached', 'delegated', ''].includes(option)) {
      report.error('BAD_VOLUME', item.where, `"${option}" is not an option of a volume`, HINT);
    }
  }
  if (target === undefined) return undefined;
  if (source === undefined) return { type: 'volume', source: '', target, readOnly: false };
  if (/^[a-zA-Z]$/.test(source)) {
    report.error('BAD_VOLUME', item.where, `to Docker Compose, "${source}:" is a drive of Windows`, 'Give the volume a name of two letters or more, or use the long form.'); // prettier-ignore
    return undefined;
  }
  if (source.startsWith('/') || isRelativeSource(source) || source.startsWith('~')) {
    return bindMount(source, target, { readOnly, ...(propagation ? { propagation } : {}) }, item.where, files, report);
  }
  const name = volumeName(source, item.where);
  return name === undefined
    ? undefined
    : { type: 'volume', source: name, target, readOnly, ...(noCopy ? { noCopy } : {}) };
}

const NO_TYPE: Readonly<Record<string, string>> = {
  image: 'Put the files into the image of the service, or into a named volume.',
  cluster: 'Use a named volume.',
  npipe: 'Named pipes are for Windows.',
};

function readLongForm(item: Value, files: AppFiles, volumeName: VolumeName, report: Report): ServiceMount | undefined {
  const keys = readKnownKeys(
    item,
    'a volume',
    ['type', 'source', 'target', 'read_only', 'consistency', 'bind', 'volume', 'tmpfs'],
    report,
    { image: NO_TYPE['image']! },
  );
  const get = (key: string) => keys.get(key)?.value;
  const source = readText(get('source'), report);
  const target = checkTarget(readText(get('target'), report), item.where, report);
  const readOnly = readBoolean(get('read_only'), report) ?? false;
  const bind = readKnownKeys(get('bind'), 'bind', ['propagation', 'create_host_path'], report, {
    selinux: SELINUX_HINT,
    recursive: 'Remove it: docker run has no such option in every version.',
  });
  const volume = readKnownKeys(get('volume'), 'volume', ['nocopy'], report, {
    subpath: 'Mount the whole volume, or use two volumes.',
    labels: 'Put labels on the volume under top-level "volumes".',
  });
  const tmpfs = readKnownKeys(get('tmpfs'), 'tmpfs', ['size', 'mode'], report);
  const type = readText(get('type'), report);
  const where = item.where;
  const createHostPath = bind.get('create_host_path');
  if (createHostPath && readBoolean(createHostPath.value, report) === false) {
    report.error('UNSUPPORTED_VALUE', createHostPath.where, 'create_host_path: false is not supported', 'Remove it; a missing path is created as an empty directory.'); // prettier-ignore
  }
  if (type === undefined || !['bind', 'volume', 'tmpfs'].includes(type)) {
    const known = type !== undefined && Object.hasOwn(NO_TYPE, type);
    report.error(known ? 'UNSUPPORTED_VALUE' : 'BAD_VOLUME', where, `the volume's type is ${type ? `"${type}"` : 'missing'}`, known ? NO_TYPE[type] : 'Write "type: volume", "bind" or "tmpfs".'); // prettier-ignore
    return undefined;
  }
  if (target === undefined) return undefined;
  if (type === 'tmpfs') {
    const size = readBytes(tmpfs.get('size')?.value, report);
    const mode = readMode(tmpfs.get('mode')?.value, report);
    return { type, target, ...(size === undefined ? {} : { size }), ...(mode === undefined ? {} : { mode }) };
  }
  if (type === 'volume') {
    const noCopy = readBoolean(volume.get('nocopy')?.value, report);
    const name = source ? volumeName(source, where) : '';
    return name === undefined ? undefined : { type, source: name, target, readOnly, ...(noCopy ? { noCopy } : {}) };
  }
  if (!source) {
    report.error('BAD_VOLUME', where, 'the bind mount has no source', HINT);
    return undefined;
  }
  const propagation = readWord(bind.get('propagation')?.value, PROPAGATIONS, report);
  return bindMount(source, target, { readOnly, ...(propagation ? { propagation } : {}) }, where, files, report);
}

/** Permission bits: `0440` and `0o440` are octal, as are strings; a plain decimal number is one (Compose reads it so). */
export function readMode(value: Value | undefined, report: Report): number | undefined {
  if (!value || value.kind !== 'scalar' || value.value === null) return undefined;
  if (/^0o?[0-7]{1,4}$/.test(value.text) || (typeof value.value === 'string' && /^[0-7]{1,4}$/.test(value.value))) {
    return parseInt(value.text.replace('o', ''), 8);
  }
  return readInteger(value, report, { min: 0, max: 0o7777 });
}
