import { existsSync, readFileSync } from 'node:fs';
import { runProgram } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { mergePackages } from './content-merge.ts';
import { isPackageFile, readPackages } from './read-packages.ts';

const bytes = (text: string) => Buffer.from(text);
const files = (of: Readonly<Record<string, string>>) =>
  new Map(Object.entries(of).map(([path, text]) => [path, bytes(text)]));
const names = (of: Readonly<Record<string, string>>) =>
  readPackages(files(of)).packages.map(({ name, version }) => `${name} ${version}`);

const OS = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';
const STATUS = `Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib (1:1.2.13.dfsg-1)
Version: 1:1.2.13.dfsg-1
Description: compression library
 more of it
 Package: not-a-package

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`;

describe('the packages of', () => {
  it.runIf(existsSync('/var/lib/dpkg/status'))('this machine are those that dpkg-query names', async () => {
    const status = readFileSync('/var/lib/dpkg/status');
    const found = readPackages(new Map([['var/lib/dpkg/status', status]])).packages;
    const format = '-f=${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package}\n';
    const { stdout } = await runProgram('dpkg-query', ['-W', format]);
    const wanted = stdout.toString().split('\n').filter((line) => line.startsWith('installed ')); // prettier-ignore
    const ours = found.map(
      (one) => `installed ${one.name} ${one.version} ${one.architecture} ${one.source ?? one.name}`,
    );
    expect(ours.sort()).toEqual(wanted.sort());
    expect(found.length).toBeGreaterThan(100);
  });

  it('dpkg: what is installed, with its source package', () => {
    expect(readPackages(files({ 'var/lib/dpkg/status': STATUS, 'usr/lib/os-release': OS }))).toEqual({
      os: { id: 'debian', versionId: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)' },
      packages: [
        { manager: 'dpkg', name: 'zlib1g', version: '1:1.2.13.dfsg-1', architecture: 'amd64', source: 'zlib' },
      ],
      unread: [],
    });
  });

  it('distroless images: a file for each package, without a status', () => {
    const base = 'Package: base-files\nVersion: 12.4\nArchitecture: amd64\n';
    expect(names({ 'var/lib/dpkg/status.d/base': base, 'var/lib/dpkg/status.d/tz': base.replace('base-files', 'tzdata') })).toEqual(['base-files 12.4', 'tzdata 12.4']); // prettier-ignore
    expect(isPackageFile('var/lib/dpkg/status.d/base.md5sums')).toBe(false);
  });

  it('apk, of apk-tools 2 and 3', () => {
    const text =
      'C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld.so\n\nP:libcrypto3\nV:3.3.2-r0\nL:Apache-2.0\no:openssl\n\n';
    const wanted = [
      { manager: 'apk', name: 'libcrypto3', version: '3.3.2-r0', license: 'Apache-2.0', source: 'openssl' },
      { manager: 'apk', name: 'musl', version: '1.2.5-r0', architecture: 'x86_64', license: 'MIT' },
    ];
    for (const path of ['lib/apk/db/installed', 'usr/lib/apk/db/installed']) {
      expect(readPackages(files({ [path]: text })).packages).toEqual(wanted);
    }
  });

  it('opkg, as OE writes it', () => {
    const text = 'Package: busybox\nVersion: 1.36.1-r0\nDepends: libc6\nStatus: install ok installed\nArchitecture: core2-64\n\n';
    expect(readPackages(files({ 'var/lib/opkg/status': text })).packages).toEqual([
      { manager: 'opkg', name: 'busybox', version: '1.36.1-r0', architecture: 'core2-64' },
    ]);
  }); // prettier-ignore

  it('a file system without any are none', () => {
    expect(readPackages(new Map())).toEqual({ packages: [], unread: [] });
  });

  it('damaged databases are what is legible in them', () => {
    expect(names({ 'var/lib/dpkg/status': 'Package: a\n\n\nVersion: 1\n:\n\0\nPackage: b\nVersion: 2' })).toEqual([
      'b 2',
    ]);
  });
});

describe('the layers of an image', () => {
  const layer = (of: Readonly<Record<string, string | undefined>>, ...whiteouts: readonly string[]) => {
    const given = Object.entries(of).map(
      ([path, text]) => [path, text === undefined ? undefined : bytes(text)] as const,
    );
    return { files: new Map(given), whiteouts };
  };
  const merged = (...layers: readonly ReturnType<typeof layer>[]) =>
    mergePackages(layers).packages.map(({ name }) => name);
  const status = (name: string) => `Package: ${name}\nVersion: 1\n`;

  it('hide what lies below them', () => {
    const bottom = layer({ 'var/lib/dpkg/status': status('a'), 'var/lib/dpkg/status.d/x': status('x') });
    expect(merged(bottom)).toEqual(['a', 'x']);
    expect(merged(bottom, layer({ 'var/lib/dpkg/status': status('b') }))).toEqual(['b', 'x']);
    expect(merged(bottom, layer({}, 'var/lib/dpkg/.wh.status'))).toEqual(['x']);
    expect(merged(bottom, layer({}, 'var/lib/.wh.dpkg'))).toEqual([]);
    expect(merged(bottom, layer({ 'var/lib/dpkg/status.d/y': status('y') }, 'var/lib/dpkg/status.d/.wh..wh..opq'))).toEqual(['a', 'y']); // prettier-ignore
    expect(merged(bottom, layer({}, '.wh..wh..opq'))).toEqual([]);
  });

  it('say which database nobody has read', () => {
    const rpm = layer({ 'var/lib/rpm/rpmdb.sqlite': undefined, 'var/lib/dpkg/status': undefined });
    expect(mergePackages([rpm]).unread).toEqual(['var/lib/dpkg/status', 'var/lib/rpm/rpmdb.sqlite']);
    expect(mergePackages([rpm, layer({ 'var/lib/dpkg/status': '' }, 'var/lib/.wh.rpm')]).unread).toEqual([]);
  });
});
