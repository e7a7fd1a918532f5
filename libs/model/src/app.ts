import type { ContainerSettings } from './container-settings.ts';
import type { DeviceClass } from './device-class.ts';
import type { Location } from './user-error.ts';

/** A file that an app brings along (env file, config), read at resolve time. */
export interface AppFile {
  /** Path below the app's folder on the device, `/`-separated. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

export interface PortMapping {
  readonly hostIp?: string;
  /** Published port or range, as text (`8080`, `9000-9010`); absent: the engine chooses. */
  readonly published?: string;
  readonly target: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

export type ServiceMount =
  | { readonly type: 'volume'; readonly source: string; readonly target: string; readonly readOnly: boolean; readonly noCopy?: boolean }
  | { readonly type: 'bind'; readonly source: string; readonly target: string; readonly readOnly: boolean; readonly propagation?: string }
  | { readonly type: 'tmpfs'; readonly target: string; readonly size?: number; readonly mode?: number }; // prettier-ignore

export interface Healthcheck {
  readonly test: readonly string[];
  readonly interval?: string;
  readonly timeout?: string;
  readonly startPeriod?: string;
  /** Time between checks while it starts; engines from Docker 25 on know it. */
  readonly startInterval?: string;
  readonly retries?: number;
  readonly disable?: boolean;
}

export type RestartPolicy = 'no' | 'always' | 'on-failure' | 'unless-stopped';

/** A network that a service joins, and its address there when it has a fixed one. */
export interface JoinedNetwork {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  readonly linkLocalIps?: readonly string[];
  readonly macAddress?: string;
}

/** A service that must have started, be healthy or have ended well before this one starts. */
export interface Dependency {
  readonly service: string;
  readonly condition: string;
  readonly required: boolean;
  /** Stop and start with the other one. */
  readonly restart?: boolean;
}

/** Addresses of a network that the engine makes (compose-spec 06-networks.md "ipam"). */
export interface AddressPool {
  readonly subnet?: string;
  readonly ipRange?: string;
  readonly gateway?: string;
  readonly auxAddresses: Readonly<Record<string, string>>;
}

/** A network of an app, under the name that the engine knows it by (`<app>_<key>`, or its own `name:`). */
export interface AppNetwork {
  readonly name: string;
  /** Absent for the default network, where nobody has written it down. */
  readonly where?: Location;
  /** Exists on the device already. */
  readonly external: boolean;
  readonly driver?: string;
  readonly internal: boolean;
  readonly attachable?: boolean;
  readonly enableIpv6?: boolean;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ipam?: {
    readonly driver?: string;
    readonly options: Readonly<Record<string, string>>;
    readonly pools: readonly AddressPool[];
  };
}

/** A named volume, under the name that the engine knows it by; it lives on the data partition. */
export interface AppVolume {
  readonly name: string;
  readonly external: boolean;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Where a secret is on the device: an absolute path on the data partition, or the name of a systemd credential. */
export type SecretPlace =
  { readonly from: 'data'; readonly path: string } | { readonly from: 'credential'; readonly credential: string };

/** A secret that a service reads, and that no image holds. Without it on the device, the service does not start. */
export interface ServiceSecret {
  /** Its key under top-level `secrets`. */
  readonly name: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly place: SecretPlace;
}

/** A secret of an app as a plan shows it: its name and where it is, never what it is. */
export interface AppSecret {
  readonly name: string;
  /** `image`: baked, for whoever has the image to read. */
  readonly place: SecretPlace | { readonly from: 'image' };
}

/** One service of an app, every Compose short form resolved (compose-spec 05-services.md). */
export interface Service {
  readonly name: string;
  readonly where: Location;
  /** Where each of its keys stands, by the key's name in the Compose file; of a device class, by `deviceClassPlace`. */
  readonly keyPlaces?: Readonly<Record<string, Location>>;
  /** Normalised image reference. */
  readonly image: string;
  readonly containerName?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly PortMapping[];
  readonly mounts: readonly ServiceMount[];
  /** Those that are on the device; a baked one is a file of the app among the mounts. */
  readonly secrets?: readonly ServiceSecret[];
  readonly networks: readonly JoinedNetwork[];
  readonly networkMode?: string;
  readonly dependsOn: readonly Dependency[];
  readonly restart: RestartPolicy;
  readonly restartMaxAttempts?: number;
  readonly healthcheck?: Healthcheck;
  readonly labels: Readonly<Record<string, string>>;
  /** Hardware that it asks for (`x-boxship: { devices: [gpio] }`). */
  readonly deviceClasses?: readonly DeviceClass[];
  /**
   * What these are on the machine: absolute paths of device nodes, with `* ? []` as a shell has them. The nodes that are there
   * when the service starts are given to it, each with its group.
   */
  readonly deviceNodes?: readonly string[];
  readonly settings: ContainerSettings;
}

/** Languages of engines that an app may be written in, beside Compose: podman's Quadlet files, Kubernetes objects. */
export type AppLanguage = 'quadlet' | 'kubernetes';

/** An app as somebody wrote it for an engine: shipped as it is. */
export interface NativeApp {
  readonly language: AppLanguage;
  /** Where the product file names it. */
  readonly where: Location;
  /** Quadlet files with what lies beside them, or the one file of Kubernetes objects. */
  readonly files: readonly AppFile[];
}

/** An app: one Compose project, resolved; or what an engine reads itself. */
export interface App {
  readonly name: string;
  readonly composeFile: string;
  /** The Compose file as it will lie on the device. */
  readonly composeBytes: Uint8Array;
  /** Set: there is no Compose file, and `services` say no more of a container than its image, its names and its ports. */
  readonly native?: NativeApp;
  readonly services: readonly Service[];
  readonly volumes: readonly AppVolume[];
  readonly networks: readonly AppNetwork[];
  /** All secrets that its services read. */
  readonly secrets?: readonly AppSecret[];
  readonly files: readonly AppFile[];
}
