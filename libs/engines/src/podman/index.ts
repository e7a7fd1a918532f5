import type { Engine } from '../engine.ts';
import { podmanBuild } from './build-needs.ts';
import { podmanComposeKeys } from './compose-keys.ts';
import { podmanConfiguration } from './configuration.ts';
import { podmanFootprint } from './footprint.ts';
import { IMAGE_STORES, podmanImageStore } from './image-store.ts';
import { podmanKernelOptions } from './kernel-options.ts';
import { podmanSocket } from './socket.ts';
import { startPodmanApp } from './start.ts';
import { podmanStore } from './store.ts';
import { checkPodmanSettings, podmanWarnings } from './vendor-checks.ts';

/** podman, 4.3 to 5.8, with the overlay driver; run as root. */
export const podman: Engine = {
  name: 'podman',
  languages: ['kubernetes', 'quadlet'],
  ...podmanBuild,
  kernelOptions: podmanKernelOptions,
  footprint: podmanFootprint,
  composeKeys: podmanComposeKeys,
  imageStores: IMAGE_STORES,
  imageStoreOf: podmanImageStore,
  preload: (images, device, options) => podmanStore(images, podmanImageStore(device), options),
  start: startPodmanApp,
  socket: (device) => podmanSocket(podmanImageStore(device)),
  configuration: podmanConfiguration,
  check: checkPodmanSettings,
  warnings: ({ facts }) => podmanWarnings(facts),
};
