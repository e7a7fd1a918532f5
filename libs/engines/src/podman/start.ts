import { UserError, type App, type DeviceFacts, type Digest, type Tree } from '@boxship/model';
import type { StartOptions } from '../engine.ts';
import { runUnits, type RunDialect } from '../run-units/units.ts';
import { nativeUnits } from './quadlet/native-units.ts';
import { podmanQuadlets } from './quadlet/quadlets.ts';
import { quadletSupport } from './quadlet/versions.ts';
import { checkPodmanWords } from './refused-settings.ts';

/**
 * Units and files that start an app: Quadlet files where the base image's podman makes units of them, else a unit with
 * `podman run` for each service; `options.start` decides otherwise. `imageIds` are the digests of the image configurations.
 * Errors: NOT_FOR_ENGINE, QUADLET_MISSING.
 */
export function startPodmanApp(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  options: StartOptions,
): Tree {
  const { start } = options;
  if (start === 'compose') {
    throw new UserError(
      'NOT_FOR_ENGINE',
      'engine.start is compose, which is for docker',
      'Write start: quadlet or start: units, or leave it out.',
    );
  }
  const support = quadletSupport(facts);
  if (app.native) {
    if ('version' in support && start !== 'units') return nativeUnits(app, app.native, support.version, facts, options);
    const why = 'why' in support ? support.why : 'engine.start is units';
    throw new UserError('QUADLET_MISSING', `the app "${app.name}" needs Quadlet files, and ${why}`, 'Take a base image with podman 5.3 or later and its generator.', app.native.where); // prettier-ignore
  }
  checkPodmanWords(app, facts);
  if (start !== 'units' && 'version' in support) return podmanQuadlets(app, imageIds, support.version, facts, options);
  if (start === 'quadlet' && 'why' in support) {
    throw new UserError('QUADLET_MISSING', `engine.start is quadlet, and ${support.why}`, 'Write start: units, or leave it out.'); // prettier-ignore
  }
  return podmanUnits(app, imageIds, facts, options);
}

/** What starts an app through `podman run`, which needs no daemon. */
function podmanUnits(app: App, imageIds: ReadonlyMap<string, Digest>, facts: DeviceFacts, options: StartOptions): Tree {
  const dialect: RunDialect = {
    program: facts.engines.find(({ name }) => name === 'podman')?.program ?? '/usr/bin/podman',
    engineUnits: [],
    // The unit's output has all that an app prints, because `podman run` stays attached; a file of bounded size serves
    // `podman logs`. Not passthrough: many images write to /dev/stdout, which cannot be opened when it is a socket.
    log: { options: ['--log-driver=k8s-file', '--log-opt=max-size=1mb'] },
    defaultLogDriver: 'k8s-file',
    makesHostPaths: false,
  };
  return runUnits(app, imageIds, dialect, options);
}
