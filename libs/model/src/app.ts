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
  readonly retries?: number;
  readonly disable?: boolean;
}

export type RestartPolicy = 'no' | 'always' | 'on-failure' | 'unless-stopped';

/** One service of an app, every Compose short form resolved (compose-spec 05-services.md). */
export interface Service {
  readonly name: string;
  readonly where: Location;
  /** Normalised image reference. */
  readonly image: string;
  readonly containerName?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly PortMapping[];
  readonly mounts: readonly ServiceMount[];
  readonly networks: readonly { readonly name: string; readonly aliases: readonly string[] }[];
  readonly networkMode?: string;
  readonly dependsOn: readonly { readonly service: string; readonly condition: string; readonly required: boolean }[];
  readonly restart: RestartPolicy;
  readonly restartMaxAttempts?: number;
  readonly healthcheck?: Healthcheck;
  readonly labels: Readonly<Record<string, string>>;
  /** Further options in the words of `docker run`, one per element: `--privileged`, `--cap-add=NET_ADMIN`, … */
  readonly runOptions: readonly string[];
}

/** An app: one Compose project, resolved. */
export interface App {
  readonly name: string;
  readonly composeFile: string;
  /** The Compose file as it will lie on the device. */
  readonly composeBytes: Uint8Array;
  readonly services: readonly Service[];
  /** Named volumes; they live on the data partition. `createOptions` are options of `docker volume create` beyond the driver's. */
  readonly volumes: readonly { readonly name: string; readonly external: boolean; readonly driverOptions: Readonly<Record<string, string>>; readonly createOptions?: readonly string[] }[];
  readonly networks: readonly { readonly name: string; readonly external: boolean; readonly driver?: string; readonly internal: boolean; readonly driverOptions: Readonly<Record<string, string>>; readonly createOptions?: readonly string[] }[];
  readonly files: readonly AppFile[];
} // prettier-ignore
