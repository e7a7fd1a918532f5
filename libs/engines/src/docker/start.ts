import type { App, DeviceFacts, Digest, Tree } from '@boxship/model';
import type { LogPolicy } from '../run-units/run-arguments.ts';
import { runUnits, type RunUnitsOptions } from '../run-units/units.ts';

/** What starts an app through the docker command; `imageIds` are the digests of the image configurations. */
export function dockerUnits(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  options: RunUnitsOptions,
): Tree {
  const engine = facts.engines.find(({ name }) => name === 'docker');
  const logDriver = engine?.daemonConfig?.['log-driver'];
  const dialect = {
    program: facts.programs['docker'] ?? '/usr/bin/docker',
    engineUnits: [engine?.unit ?? 'docker.service'],
    log: logPolicy(logDriver),
    defaultLogDriver: typeof logDriver === 'string' ? logDriver : '',
    makesHostPaths: true,
  };
  return runUnits(app, imageIds, dialect, options);
}

/**
 * The unit's standard output, and so the journal, has all that an app prints, because `docker run` stays attached. The
 * engine's own log serves `docker logs` alone: bounded, unless the vendor has chosen a driver.
 */
function logPolicy(vendorDriver: unknown): LogPolicy {
  if (typeof vendorDriver === 'string') return { options: [] };
  return { options: ['--log-driver=local', '--log-opt=max-size=1m', '--log-opt=max-file=2'] };
}
