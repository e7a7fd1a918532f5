import { MiB } from '@boxship/model';
import type { RootfsReader } from './rootfs-reader.ts';

/** Databases of installed packages in Debian's control format. */
const DATABASES = ['var/lib/dpkg/status', 'var/lib/opkg/status', 'usr/lib/opkg/status'];

/** Versions of installed packages, by name; empty when the base keeps no database that can be read here (rpm, none). */
export async function readPackageVersions(fs: RootfsReader): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for (const path of DATABASES) {
    const text = (await fs.readText(path, 64 * MiB)) ?? '';
    for (const paragraph of text.split('\n\n')) {
      const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(paragraph)?.[1]?.trim();
      const name = field('Package');
      const version = field('Version');
      const removed = /deinstall|not-installed/.test(field('Status') ?? '');
      if (name && version && !removed) versions.set(name, version);
    }
  }
  return versions;
}

/** `20.10.24` of `5:20.10.24+dfsg1-1+deb12u1`. */
export function upstreamVersion(version: string): string {
  return /^(?:\d+:)?v?(\d+(?:\.\d+)*)/.exec(version)?.[1] ?? version;
}
