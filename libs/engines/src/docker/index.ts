import type { Engine } from '../engine.ts';
import { dockerBuild } from './build-needs.ts';
import { dockerComposeKeys } from './compose-keys.ts';
import { dockerConfiguration } from './configuration.ts';
import { dockerContainerdStore } from './containerd-image-store.ts';
import { dockerFootprint } from './footprint.ts';
import { IMAGE_STORES, dockerImageStore } from './image-store.ts';
import { dockerKernelOptions } from './kernel-options.ts';
import { dockerSocket } from './socket.ts';
import { startDockerApp } from './start-app.ts';
import { dockerStore } from './store.ts';
import { checkDockerSettings, dockerWarnings } from './vendor-checks.ts';

/** docker: 20.10 to 29 with the overlay2 driver, from 26 on with the containerd image store. */
export const docker: Engine = {
  name: 'docker',
  ...dockerBuild,
  kernelOptions: dockerKernelOptions,
  footprint: dockerFootprint,
  composeKeys: dockerComposeKeys,
  imageStores: IMAGE_STORES,
  imageStoreOf: dockerImageStore,
  preload: (images, device, options) =>
    dockerImageStore(device) === 'containerd' ? dockerContainerdStore(images, options) : dockerStore(images, options),
  start: startDockerApp,
  socket: dockerSocket,
  configuration: dockerConfiguration,
  check: checkDockerSettings,
  warnings: dockerWarnings,
};
