import type { Engine } from '../engine.ts';
import { dockerComposeKeys } from './compose-keys.ts';
import { dockerSocket } from './socket.ts';
import { startDockerApp } from './start-app.ts';
import { dockerStore } from './store.ts';
import { checkDockerSettings, dockerWarnings } from './vendor-checks.ts';

/** docker with the overlay2 driver, 20.10 to 28. */
export const docker: Engine = {
  name: 'docker',
  composeKeys: dockerComposeKeys,
  preload: dockerStore,
  start: startDockerApp,
  socket: dockerSocket,
  check: checkDockerSettings,
  warnings: dockerWarnings,
};
