export type DockerVersion = '20.10' | '26.1' | '28';

export interface Docker {
  readonly version: DockerVersion;
  /** For DOCKER_HOST. */
  readonly host: string;
  /** Runs the docker client; what it printed, trimmed. Rejects with its words when it fails. */
  run(...args: readonly string[]): Promise<string>;
  /** What the daemon has logged so far. */
  log(): string;
}

export const DOCKER_SUITES: Readonly<Record<DockerVersion, string>>;
export function whyNoDockerd(): string | undefined;
export function dockerRoot(version: DockerVersion): Promise<{ readonly folder: string; readonly version: string }>;
export function withDockerd<T>(
  options: {
    readonly version: DockerVersion;
    readonly dataRoot: string;
    readonly args?: readonly string[];
    readonly folders?: readonly string[];
    readonly containerdStore?: boolean;
  },
  work: (docker: Docker) => Promise<T>,
): Promise<T>;
