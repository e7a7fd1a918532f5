import { containerdKernelOptions } from './containerd/kernel-options.ts';
import { dockerKernelOptions } from './docker/kernel-options.ts';
import { k3sKernelOptions } from './k3s/kernel-options.ts';
import type { EngineKernelOptions } from './kernel-options.ts';
import { podmanKernelOptions } from './podman/kernel-options.ts';

/** What each engine needs of the kernel, by the engine's name; read it with `Object.hasOwn`. */
export const kernelTables = {
  containerd: containerdKernelOptions,
  docker: dockerKernelOptions,
  k3s: k3sKernelOptions,
  podman: podmanKernelOptions,
} satisfies Record<string, EngineKernelOptions>;
