/** What the base image says of itself, read once; nothing asks the base twice. */
export interface DeviceFacts {
  readonly osRelease: Readonly<Record<string, string>>;
  readonly init: 'systemd' | 'other';
  readonly systemdVersion?: number;
  /** `/usr/lib/systemd/system` (merged /usr) or `/lib/systemd/system`. */
  readonly unitDirectory: string;
  readonly mergedUsr: boolean;
  readonly selinux: boolean;
  /** A kernel built with AppArmor and no `apparmor_parser` in the rootfs keeps docker from starting any container. */
  readonly apparmorParser: boolean;
  readonly ostree: boolean;
  /** Already holds a boxship socket of this version. */
  readonly socketVersion?: number;
  /** What that socket expects of a store. */
  readonly socket?: SocketFacts;
  readonly readOnlyRoot: boolean;
  /** Mount points of the vendor's fstab, absolute; a unit made of fstab wins over one in /usr/lib. */
  readonly mountPoints?: readonly string[];
  readonly engines: readonly EngineFacts[];
  /** Programs found among those that the socket can use: openssl, resize2fs, sfdisk, … Absolute paths. */
  readonly programs: Readonly<Record<string, string>>;
  /** The kernel's configuration, when the rootfs has it: name without CONFIG_ to y, m, n or a value; what is absent is off. */
  readonly kernelConfig?: Readonly<Record<string, string>>;
  /** What the boot loader hands to the kernel, for each entry that it may boot; absent when no place that we read has it. */
  readonly kernelCommandLines?: readonly KernelCommandLine[];
  /** Of that configuration: `6.6.52`, and the kernel's word for the architecture (`x86`, `arm64`, `arm`). */
  readonly kernelVersion?: string;
  readonly kernelArchitecture?: string;
}

export interface KernelCommandLine {
  /** File that it was read from, as in `partition 1: loader/entries/vendor.conf`. */
  readonly where: string;
  readonly text: string;
}

/** A socket that is in the rootfs already: a store must fit it. */
export interface SocketFacts {
  readonly version: number;
  /** The key that it verifies with. */
  readonly publicKeyPem: string;
  /** How it finds the partitions: by name (`gpt`), or by these UUIDs of their filesystems (`mbr`). */
  readonly tableType: string;
  readonly storeUuid: string;
  readonly dataUuid: string;
  /** Mount units that it puts a store in its engine's places with. */
  readonly binds: readonly string[];
}

export interface EngineFacts {
  readonly name: string;
  readonly version?: string;
  /** Absolute path of its program. */
  readonly program: string;
  /** Vendor's daemon.json, parsed. */
  readonly daemonConfig?: Readonly<Record<string, unknown>>;
  /** What containerd's configuration says of where it keeps its images; `file` is its path on the device. */
  readonly containerdConfig?: { readonly file: string; readonly root?: string };
  /** Settings of k3s's configuration files that are single words or lists of them (joined by commas); `file` is the path on the device. */
  readonly serverConfig?: readonly { readonly name: string; readonly value: string; readonly file: string }[];
  /** podman has netavark, which makes its networks. */
  readonly netavark?: boolean;
  /** podman has its systemd generator, which reads Quadlet files. */
  readonly quadlet?: boolean;
  /** What podman's storage.conf says of its store; `file` is its path on the device. */
  readonly storageConfig?: {
    readonly file: string;
    readonly driver?: string;
    readonly graphroot?: string;
    readonly imagestore?: string;
    /** Folders of its `additionalimagestores`. */
    readonly additionalStores?: readonly string[];
    /** The whole file. */
    readonly text?: string;
  };
  /** ExecStart of its unit, drop-ins applied, variables filled in from the unit's environment files. */
  readonly execStart?: string;
  readonly unit?: string;
  readonly composePlugin: boolean;
}

/** A device of which no more is known than that it has systemd and a merged /usr, as an image of the generated layer has. */
export function plainDeviceFacts(): DeviceFacts {
  return {
    osRelease: {},
    init: 'systemd',
    unitDirectory: '/usr/lib/systemd/system',
    mergedUsr: true,
    selinux: false,
    apparmorParser: false,
    ostree: false,
    readOnlyRoot: false,
    engines: [],
    programs: {},
  };
}
