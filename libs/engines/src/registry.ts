import type { Engine } from './engine.ts';
import { containerd } from './containerd/index.ts';
import { docker } from './docker/index.ts';
import { k3s } from './k3s/index.ts';
import { podman } from './podman/index.ts';

/** Every container engine that we know. Read it through `pick`. */
export const engines = { containerd, docker, k3s, podman } satisfies Record<string, Engine>;
