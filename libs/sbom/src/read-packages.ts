import type { BytePath } from '@boxship/model';
import { parseControl, type Paragraph } from './control-file.ts';
import type { InstalledSoftware, OperatingSystem, SoftwarePackage } from './software-package.ts';

/** dpkg's database (dpkg(1), FILES), and the folder that distroless images have in its place. */
const DPKG = ['var/lib/dpkg/status'];
const DPKG_FOLDER = 'var/lib/dpkg/status.d/';
/** apk's, by apk-tools 2 and 3. */
const APK = ['lib/apk/db/installed', 'usr/lib/apk/db/installed'];
/** opkg's `info_dir`, as OpenWrt and as OE build it. */
const OPKG = ['var/lib/opkg/status', 'usr/lib/opkg/status'];
/** rpm's, by its three backends: Berkeley DB, ndb, SQLite. */
const RPM = ['var/lib/rpm/', 'usr/lib/sysimage/rpm/'].flatMap((folder) =>
  ['Packages', 'Packages.db', 'rpmdb.sqlite'].map((name) => folder + name),
);
const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'];

const FILES = new Set([...DPKG, ...APK, ...OPKG, ...OS_RELEASE]);

/** Whether `readPackages` wants the bytes of the file at this path. */
export function isPackageFile(path: BytePath): boolean {
  if (path.startsWith(DPKG_FOLDER)) return !path.endsWith('.md5sums') && !path.slice(DPKG_FOLDER.length).includes('/');
  return FILES.has(path);
}

/** Files that say by being there that there are packages which `readPackages` does not read. */
export function isUnreadDatabase(path: BytePath): boolean {
  return RPM.includes(path);
}

/** Paths that `isPackageFile` and `isUnreadDatabase` know by name, for those who look them up one by one. */
export const packageFiles: readonly BytePath[] = [...FILES, ...RPM];
/** Folders whose files it may want, each with a `/` behind. */
export const packageFolders: readonly BytePath[] = [DPKG_FOLDER];

/** The packages of a file system, of which `files` has what `isPackageFile` asks for; `unread`: databases that are there besides. */
export function readPackages(
  files: ReadonlyMap<BytePath, Uint8Array>,
  unread: readonly BytePath[] = [],
): InstalledSoftware {
  const text = (path: BytePath) => Buffer.from(files.get(path) ?? []).toString('utf8');
  const packages: SoftwarePackage[] = [];
  const status = [...DPKG, ...[...files.keys()].filter((path) => path.startsWith(DPKG_FOLDER))];
  for (const path of status) packages.push(...debianPackages(parseControl(text(path)), 'dpkg'));
  for (const path of OPKG) packages.push(...debianPackages(parseControl(text(path)), 'opkg'));
  for (const path of APK) packages.push(...apkPackages(text(path)));
  const os = OS_RELEASE.map((path) => operatingSystem(text(path))).find((found) => found !== undefined);
  return {
    ...(os ? { os } : {}),
    packages: sortedOnce(packages),
    unread: [...unread].sort(),
  };
}

/** Of dpkg and opkg: what is installed, not what was and left its configuration (dpkg-query(1), "Status"). */
function debianPackages(paragraphs: readonly Paragraph[], manager: 'dpkg' | 'opkg'): SoftwarePackage[] {
  return paragraphs.flatMap((fields): SoftwarePackage[] => {
    const name = fields.get('package');
    const version = fields.get('version');
    const status = fields.get('status')?.split(/\s+/).at(-1);
    if (name === undefined || version === undefined) return [];
    if (status !== undefined && status !== 'installed' && status !== 'unpacked') return [];
    const source = fields.get('source')?.replace(/\s*\(.*\)$/, '');
    return [
      {
        manager,
        name,
        version,
        ...optional('architecture', fields.get('architecture')),
        ...optional('license', fields.get('license')),
        ...(source === undefined || source === name ? {} : { source }),
      },
    ];
  });
}

/** apk-tools, doc/apk-package.5 and "Installed DB": `P:` name, `V:` version, `A:` architecture, `L:` licence, `o:` origin. */
function apkPackages(text: string): SoftwarePackage[] {
  return text.split('\n\n').flatMap((paragraph): SoftwarePackage[] => {
    const fields = new Map(paragraph.split('\n').map((line) => [line.slice(0, 2), line.slice(2).trim()]));
    const name = fields.get('P:');
    const version = fields.get('V:');
    if (name === undefined || version === undefined) return [];
    const origin = fields.get('o:');
    return [
      {
        manager: 'apk',
        name,
        version,
        ...optional('architecture', fields.get('A:')),
        ...optional('license', fields.get('L:')),
        ...(origin === undefined || origin === name ? {} : { source: origin }),
      },
    ];
  });
}

/** os-release(5): assignments of a shell, quoted or not. */
function operatingSystem(text: string): OperatingSystem | undefined {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z_0-9]+)=(.*)$/.exec(line.trim()) ?? [];
    if (name !== undefined) values.set(name, value!.replace(/^(['"])(.*)\1$/, '$2').replace(/\\(.)/g, '$1'));
  }
  const id = values.get('ID');
  if (!id) return undefined;
  return {
    id,
    ...optional('versionId', values.get('VERSION_ID')),
    ...optional('prettyName', values.get('PRETTY_NAME')),
  };
}

function sortedOnce(packages: readonly SoftwarePackage[]): readonly SoftwarePackage[] {
  const byKey = new Map(packages.map((one) => [packageKey(one), one]));
  return [...byKey.keys()].sort().map((key) => byKey.get(key)!);
}

/** Tells packages of one file system apart, and sorts them. */
function packageKey({ name, version, architecture = '', manager }: SoftwarePackage): string {
  return [name, version, architecture, manager].join('\0');
}

function optional<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { readonly [P in K]: string });
}
