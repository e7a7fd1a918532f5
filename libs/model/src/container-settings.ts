/** A device of the machine that a container sees; a CDI name (`vendor.com/class=name`) has no target. */
export interface DeviceMapping {
  readonly source: string;
  readonly target?: string;
  /** Some of `r`, `w` and `m` (mknod); absent: all of them. */
  readonly permissions?: string;
}

export interface ResourceLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Limits of one block device: bytes (`bps`) or operations (`iops`) in a second, or its weight. */
export interface BlockDeviceLimit {
  readonly kind: 'weight' | 'read-bps' | 'read-iops' | 'write-bps' | 'write-iops';
  readonly path: string;
  readonly amount: number;
}

export interface ExtraHost {
  readonly name: string;
  /** An IP address without brackets, or `host-gateway`. */
  readonly address: string;
}

export interface GpuRequest {
  /** How many; -1 is all of them. Absent when `deviceIds` names them. */
  readonly count?: number;
  readonly deviceIds?: readonly string[];
  readonly driver?: string;
  readonly capabilities: readonly string[];
}

/**
 * What a service asks of its container beyond its image, command, environment, ports, mounts and networks. Each field is
 * the Compose key of its name (compose-spec 05-services.md), short forms resolved; an absent field is the engine's default.
 * Every engine says of every field what it makes of it: a field added here does not compile until they all do.
 */
export interface ContainerSettings {
  readonly platform?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  /** `user`, `user:group`, by name or number, of the image. */
  readonly user?: string;
  /** Names of the image's groups, or numbers. */
  readonly groupAdd?: readonly string[];
  readonly workingDir?: string;
  readonly init?: boolean;
  readonly tty?: boolean;
  readonly stdinOpen?: boolean;
  readonly readOnly?: boolean;
  readonly privileged?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  /** As Docker has them (`no-new-privileges:true`, `apparmor=…`, `label=…`); the path of a `seccomp=` profile is the device's. */
  readonly securityOpt?: readonly string[];
  readonly usernsMode?: string;
  /** `host`, `none`, `private`, `shareable`, or `container:NAME`. */
  readonly ipc?: string;
  /** `host` or `container:NAME`. */
  readonly pid?: string;
  readonly uts?: string;
  /** Namespace of the control groups: `host` or `private`. */
  readonly cgroup?: string;
  readonly cgroupParent?: string;
  readonly runtime?: string;
  readonly gpus?: readonly GpuRequest[];
  readonly devices?: readonly DeviceMapping[];
  /** As the kernel's devices controller has them: `c 81:* rmw`. */
  readonly deviceCgroupRules?: readonly string[];
  /** Decimal number of processors, as text. */
  readonly cpus?: string;
  readonly cpuset?: string;
  readonly cpuShares?: number;
  /** Microseconds, as is `cpuQuota` and as are the two of real-time scheduling. */
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuRtPeriod?: number;
  readonly cpuRtRuntime?: number;
  /** Bytes, as are all sizes here. */
  readonly memLimit?: number;
  readonly memReservation?: number;
  /** Memory and swap together; -1 is without limit. */
  readonly memswapLimit?: number;
  /** 0 to 100. */
  readonly memSwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly oomScoreAdj?: number;
  /** -1 is without limit. */
  readonly pidsLimit?: number;
  readonly shmSize?: number;
  /** `blkio_config.weight`. */
  readonly blkioWeight?: number;
  readonly blkioDevices?: readonly BlockDeviceLimit[];
  readonly storageOpt?: Readonly<Record<string, string>>;
  readonly ulimits?: Readonly<Record<string, ResourceLimit>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** `/path` or `/path:size=64m,mode=1777`. */
  readonly tmpfs?: readonly string[];
  readonly macAddress?: string;
  readonly dns?: readonly string[];
  readonly dnsOpt?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly extraHosts?: readonly ExtraHost[];
  /** `PORT`, `FROM-TO`, each with `/protocol` where it is not tcp. */
  readonly expose?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  /** Seconds from the stop signal to the kill, rounded up. */
  readonly stopGracePeriod?: number;
  readonly logging?: { readonly driver?: string; readonly options: Readonly<Record<string, string>> };
}
