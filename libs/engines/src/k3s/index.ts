import { kubernetesNamespace } from '../containerd-store/namespaces.ts';
import { containerdStore } from '../containerd-store/store.ts';
import type { Engine } from '../engine.ts';
import { k3sBuild } from './build-needs.ts';
import { k3sFootprint } from './footprint.ts';
import { k3sKernelOptions } from './kernel-options.ts';
import { k3sComposeKeys } from './manifests/compose-keys.ts';
import { CONTAINERD_FOLDER, k3sSocket } from './socket.ts';
import { startK3sApp } from './start.ts';
import { checkK3sSettings, k3sWarnings } from './vendor-checks.ts';

/**
 * k3s as a server on the device, with the containerd that it starts. Unproven: no k3s has run on what this makes; its
 * containerd's part is proven with containerd 1.6 to 2.1, the Kubernetes runtime interface included.
 */
export const k3s: Engine = {
  name: 'k3s',
  languages: ['kubernetes'],
  ...k3sBuild,
  kernelOptions: k3sKernelOptions,
  footprint: k3sFootprint,
  composeKeys: k3sComposeKeys,
  preload: (images, { engine }, { epoch }) =>
    containerdStore(images, {
      root: CONTAINERD_FOLDER,
      namespace: kubernetesNamespace,
      keepLayerBlobs: !(engine.discardUnpackedLayers ?? true),
      epoch,
    }),
  start: startK3sApp,
  socket: () => k3sSocket,
  check: checkK3sSettings,
  warnings: k3sWarnings,
};
