import { UserError, type App, type DeviceFacts, type Digest, type Tree } from '@boxship/model';
import type { StartOptions } from '../engine.ts';
import { runUnits, type RunDialect } from '../run-units/units.ts';
import { checkPodmanWords } from './refused-settings.ts';

/**
 * What starts an app through `podman run`, which needs no daemon; `imageIds` are the digests of the image configurations.
 * Errors: NOT_FOR_ENGINE.
 */
export function podmanUnits(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  options: StartOptions,
): Tree {
  if (options.start === 'compose') {
    throw new UserError(
      'NOT_FOR_ENGINE',
      'engine.start is compose, which is for docker',
      'Write start: units, or leave it out.',
    );
  }
  checkPodmanWords(app);
  const dialect: RunDialect = {
    program: facts.engines.find(({ name }) => name === 'podman')?.program ?? '/usr/bin/podman',
    engineUnits: [],
    // The unit's output has all that an app prints, because `podman run` stays attached; a file of bounded size serves
    // `podman logs`. Not passthrough: many images write to /dev/stdout, which cannot be opened when it is a socket.
    log: { options: ['--log-driver=k8s-file', '--log-opt=max-size=1mb'] },
    defaultLogDriver: 'k8s-file',
  };
  return runUnits(app, imageIds, dialect, options);
}
