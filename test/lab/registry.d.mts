export interface RunningRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly port: number;
  /** Where it keeps what it has. */
  readonly data: string;
}

/** Debian's docker-registry on a free port of this machine; see registry.mjs. */
export function startRegistry(folder: string): Promise<RunningRegistry>;
