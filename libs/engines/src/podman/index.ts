import type { Engine } from '../engine.ts';
import { refuseForeignSettings } from '../foreign-settings.ts';
import { namedImageStore } from '../image-store-name.ts';
import { podmanBuild } from './build-needs.ts';
import { podmanComposeKeys } from './compose-keys.ts';
import { podmanSocket } from './socket.ts';
import { startPodmanApp } from './start.ts';
import { podmanStore } from './store.ts';
import { checkPodmanSettings, podmanWarnings } from './vendor-checks.ts';

/** podman, 4.3 to 5.8, with the overlay driver; run as root. */
export const podman: Engine = {
  name: 'podman',
  languages: ['kubernetes', 'quadlet'],
  ...podmanBuild,
  composeKeys: podmanComposeKeys,
  preload: (images, _device, options) => podmanStore(images, options),
  start: startPodmanApp,
  socket: () => podmanSocket,
  check({ facts, engine }) {
    namedImageStore(engine, []);
    refuseForeignSettings(engine, []);
    checkPodmanSettings(facts);
  },
  warnings: ({ facts }) => podmanWarnings(facts),
};
