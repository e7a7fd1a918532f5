import { namespaceOf } from '../containerd-store/namespaces.ts';
import { containerdStore } from '../containerd-store/store.ts';
import type { Engine } from '../engine.ts';
import { containerdBuild } from './build-needs.ts';
import { containerdComposeKeys } from './compose-keys.ts';
import { containerdFootprint } from './footprint.ts';
import { containerdKernelOptions } from './kernel-options.ts';
import { CONTAINERD_FOLDER, containerdSocket } from './socket.ts';
import { ctrUnits } from './start.ts';
import { checkContainerdSettings, containerdWarnings } from './vendor-checks.ts';

/** containerd, 1.6 to 2.1, with `ctr`. */
export const containerd: Engine = {
  name: 'containerd',
  ...containerdBuild,
  kernelOptions: containerdKernelOptions,
  footprint: containerdFootprint,
  composeKeys: containerdComposeKeys,
  preload: (images, { engine }, { epoch }) =>
    containerdStore(images, {
      root: CONTAINERD_FOLDER,
      namespace: namespaceOf(engine.namespace ?? 'default'),
      keepLayerBlobs: !(engine.discardUnpackedLayers ?? true),
      epoch,
    }),
  start: ctrUnits,
  socket: () => containerdSocket,
  check: checkContainerdSettings,
  warnings: containerdWarnings,
};
