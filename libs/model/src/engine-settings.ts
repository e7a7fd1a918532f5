/** How the engine on the device is configured, in words that every engine knows; what is absent is the engine's own choice. */
export interface EngineSettings {
  /** Bounds of each container's log: bytes of a file, and files. */
  readonly logs?: { readonly maxBytes: number; readonly maxFiles: number };
  /** Containers keep running while the engine restarts. */
  readonly liveRestore?: boolean;
  /** Where the networks of apps take their addresses from: a network in CIDR notation, cut into networks of `size` bits. */
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  /** Registries, `host[:port]`, that are reached without TLS or with a certificate nobody vouches for. */
  readonly insecureRegistries: readonly string[];
  /** URLs to ask instead of a registry, by its host, in order. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
}
