import type { Engine } from './engine.ts';
import { docker } from './docker/index.ts';
import { podman } from './podman/index.ts';

/** Every container engine that we know. Read it through `pick`. */
export const engines = { docker, podman } satisfies Record<string, Engine>;
