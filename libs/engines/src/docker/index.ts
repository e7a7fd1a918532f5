import { checkEngineConfig } from '@boxship/device-socket';
import type { Engine } from '../engine.ts';
import { dockerUnits } from './start.ts';
import { dockerStore } from './store.ts';

/** docker with the overlay2 driver, 20.10 to 28. */
export const docker: Engine = {
  name: 'docker',
  preload: dockerStore,
  start: dockerUnits,
  check: checkEngineConfig,
};
