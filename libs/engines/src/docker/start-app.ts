import { UserError, type App, type DeviceFacts, type Digest, type Tree } from '@boxship/model';
import type { StartOptions } from '../engine.ts';
import { dockerComposeUnit } from './start-compose.ts';
import { dockerUnits } from './start.ts';

/**
 * Units and files that start an app: through the device's own `docker compose` when the base image has it, else through one
 * systemd unit for each service; `options.start` decides otherwise. An app that asks for hardware by class is started by
 * units, which look for the device nodes at each start. Errors: COMPOSE_MISSING, NEEDS_UNITS, NOT_FOR_ENGINE.
 */
export function startDockerApp(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  options: StartOptions,
): Tree {
  const hasCompose = facts.engines.some(({ name, composePlugin }) => name === 'docker' && composePlugin);
  const byClass = app.services.find(({ deviceNodes = [] }) => deviceNodes.length > 0);
  const { start = hasCompose && !byClass ? 'compose' : 'units' } = options;
  if (start === 'quadlet') {
    throw new UserError(
      'NOT_FOR_ENGINE',
      'engine.start is quadlet, which is for podman',
      'Write start: compose or start: units, or leave it out.',
    );
  }
  if (start === 'units') return dockerUnits(app, imageIds, facts, options);
  if (byClass) {
    throw new UserError(
      'NEEDS_UNITS',
      `engine.start is compose, and the service "${byClass.name}" asks for hardware by class, which docker compose cannot look for`,
      'Write start: units, or name the device nodes under "devices".',
      byClass.where,
    );
  }
  if (hasCompose) return dockerComposeUnit(app, imageIds, facts, options);
  throw new UserError(
    'COMPOSE_MISSING',
    'engine.start is compose, and the base image has no docker compose (no docker-compose among the plugins of the docker command)',
    'Add it to the base image (Debian: docker-compose-v2 or docker-compose 2; Yocto: docker-compose), or write start: units.',
  );
}
