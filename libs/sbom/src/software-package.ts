/** A package manager's database that we read. */
export type PackageManager = 'dpkg' | 'apk' | 'opkg';

/** An installed package, as its database says. */
export interface SoftwarePackage {
  readonly manager: PackageManager;
  readonly name: string;
  readonly version: string;
  /** In the words of the package manager: `amd64`, `x86_64`, `core2-64`. */
  readonly architecture?: string;
  /** An SPDX licence expression, or what the packager wrote; dpkg's database has none. */
  readonly license?: string;
  /** The source package, when it has another name. */
  readonly source?: string;
}

/** What os-release(5) says. */
export interface OperatingSystem {
  readonly id: string;
  readonly versionId?: string;
  readonly prettyName?: string;
}

/** How people call it. */
export function osName({ prettyName, id, versionId }: OperatingSystem): string {
  return prettyName ?? (versionId === undefined ? id : `${id} ${versionId}`);
}

/** What the package databases of one file system say. */
export interface InstalledSoftware {
  readonly os?: OperatingSystem;
  /** Sorted by name, then version, then architecture. */
  readonly packages: readonly SoftwarePackage[];
  /** Paths of databases that are there and were not read. */
  readonly unread: readonly string[];
}
