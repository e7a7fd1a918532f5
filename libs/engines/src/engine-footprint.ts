/** What an engine costs a device that does nothing else. Measured figures are upper bounds of what was seen, rounded up. */
export interface EngineFootprint {
  /** Bytes of RAM of its daemons with no container. */
  readonly idle: number;
  /** Bytes of RAM that each running container costs beside its app: a shim or a monitor. */
  readonly perContainer: number;
  /** Seconds from the start of its unit until it takes orders: on a fast and on a slow device. */
  readonly start: readonly [fast: number, slow: number];
  /** Seconds for each container, the same way. */
  readonly startContainer: readonly [fast: number, slow: number];
  /** When it is the right one, in one sentence. */
  readonly strength: string;
  readonly sources: readonly string[];
}

/** For `sources`: nobody has measured it engine by engine. */
export const CONTAINER_START =
  'start of a container: our judgement (0.4 s for podman run measured on x86-64; slow flash and a slow core: 2 s)';
