import type { kernelTables } from './kernel-tables.ts';

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

const MiB = 1024 * 1024;
const CONTAINER_START =
  'start of a container: our judgement (0.4 s for podman run measured on x86-64; slow flash and a slow core: 2 s)';

/** By the engine's name. */
export const footprints: Readonly<Record<keyof typeof kernelTables, EngineFootprint>> = {
  docker: {
    idle: 126 * MiB,
    perContainer: 8 * MiB,
    start: [1, 8],
    startContainer: [0.5, 2],
    strength: 'what developers know; Compose files run as they are',
    sources: [
      'RAM: PSS of dockerd + containerd idle on x86-64, measured: docker 20.10.24 107 MiB, 26.1.5 126 MiB, 28.5.2 111 MiB; of one containerd-shim-runc-v2 7.3 MiB',
      'start: 0.9 to 1.5 s measured on x86-64 (docker 26.1, 28); 7.3 s on a Raspberry Pi 3 (bluerobotics/BlueOS#332)',
      CONTAINER_START,
    ],
  },
  podman: {
    idle: 0,
    perContainer: 3 * MiB,
    start: [0, 0],
    startContainer: [0.5, 2],
    strength: 'no daemon: systemd starts each container, and nothing else stays in memory',
    sources: ['RAM: PSS of one conmon on x86-64, measured: podman 5.4.2 2.1 MiB, 5.8.6 2.2 MiB', CONTAINER_START],
  },
  containerd: {
    idle: 45 * MiB,
    perContainer: 8 * MiB,
    start: [0.5, 3],
    startContainer: [0.5, 2],
    strength: 'the smallest daemon, for those who bring their own tooling',
    sources: [
      'RAM: PSS of containerd idle on x86-64, measured: 1.6.20 38 MiB, of docker 26.1.5 45 MiB, of docker 28.5.2 40 MiB; of one containerd-shim-runc-v2 7.3 MiB',
      'start: our judgement, less than half of docker',
      CONTAINER_START,
    ],
  },
  k3s: {
    idle: 1588 * 1e6,
    perContainer: 9 * MiB,
    start: [20, 90],
    startContainer: [1, 5],
    strength: 'several devices that stand in for each other, or a fleet that is run with Kubernetes already',
    sources: [
      'RAM: https://docs.k3s.io/reference/resource-profiling, k3s 1.26.5, server with a workload on a Raspberry Pi 4: 1588 M (an agent alone: 268 M); each pod has a pause container beside (our judgement: 1 MiB)',
      'start: our judgement; a server with all packaged components, images at hand',
    ],
  },
};
