/** A file that the engine's configuration package installs. */
export interface ConfigurationFile {
  /** Absolute path on the device. */
  readonly path: string;
  /** The whole content; ends with a newline. */
  readonly text: string;
}

/** A change to a file that a package of another layer installs, where no drop-in would do. */
export interface ConfigurationChange {
  /** That package; it is there first. */
  readonly package: string;
  /** Absolute path on the device. */
  readonly path: string;
  /** Scripts of POSIX sed, in this order. No single quotes. */
  readonly edits: readonly string[];
  /** A line that the file has afterwards, or the build fails; no single quotes. */
  readonly line: string;
}

/**
 * What an image of one Yocto release must have so that an engine runs on it: the answer of `Engine.buildNeeds`. Names are
 * bitbake's: package names as RDEPENDS takes them, DISTRO_FEATURES, collections as LAYERDEPENDS takes them.
 */
export interface BuildNeeds {
  /** Packages of the engine, sorted. */
  readonly packages: readonly string[];
  /** Packages that are good to have and may be missing (kernel modules that may be built in), sorted. */
  readonly recommendedPackages: readonly string[];
  /** DISTRO_FEATURES without which a recipe of the engine is skipped, sorted. */
  readonly distroFeatures: readonly string[];
  /** Layers beside openembedded-core, by collection, whose packages are used. */
  readonly layers: readonly string[];
  /** CONTAINER_PROFILE of meta-virtualization, where the release has it. */
  readonly containerProfile?: string;
  /** Further assignments of the distro, `NAME = "value"`: preferred providers and the like. Kernel options are a table of their own (engines). */
  readonly distroVariables: Readonly<Record<string, string>>;
  /** Configuration that Boxship ships as a package of its own. */
  readonly configuration: readonly ConfigurationFile[];
  /** Changes that this package makes to files of others when it is installed. */
  readonly configurationChanges?: readonly ConfigurationChange[];
  /** Packages of other layers that own one of these files: the configuration package replaces them (RREPLACES, RCONFLICTS). */
  readonly replacedPackages: readonly string[];
  /** Units that must be active on a device that runs well, for the runtime test. */
  readonly units: readonly string[];
  /** A command that succeeds on a device where the engine runs, for the runtime test; words, no shell. */
  readonly probe: readonly string[];
}
