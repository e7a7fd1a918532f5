import { UserError, type Problem } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { refuseForeignSettings } from '../foreign-settings.ts';
import { cgroupWarnings } from '../kernel-command-line.ts';
import { kernelWarnings } from '../kernel-warnings.ts';
import { namedImageStore } from '../image-store-name.ts';
import { containerdRootConflicts, engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { containerdKernelOptions } from './kernel-options.ts';
import { CONTAINERD_ROOT, containerdSocket } from './socket.ts';

/** The oldest one that was tried. */
const OLDEST = [1, 6] as const;

/**
 * Refuses a base whose containerd could not work with our store, or has nothing that starts containers; all reasons at once:
 * ENGINE_MISSING, ENGINE_CONFLICT, CTR_MISSING, UNKNOWN_IMAGE_STORE, NOT_FOR_ENGINE.
 */
export function checkContainerdSettings({ facts, engine }: EngineDevice): void {
  namedImageStore(engine, []);
  refuseForeignSettings(engine, ['namespace', 'discardUnpackedLayers']);
  const { execStart = '', unit = 'containerd.service' } = requireEngine(facts, 'containerd', 'containerd');
  const problems: Problem[] = [
    ...containerdRootConflicts(facts, CONTAINERD_ROOT),
    ...mountConflicts(facts, containerdSocket),
  ];
  const [, root] = /\s--root[= ](\S+)/.exec(execStart) ?? [];
  if (root !== undefined && root !== CONTAINERD_ROOT) {
    problems.push(engineConflict(`--root ${root} (ExecStart of ${unit})`, `is mounted at ${CONTAINERD_ROOT}`));
  }
  if (facts.programs['ctr'] === undefined) {
    problems.push({
      code: 'CTR_MISSING',
      message: 'the base image has containerd without ctr, which is what starts the apps',
      hint: 'Add ctr to the base image: it comes with containerd.',
    });
  }
  if (problems.length > 0) throw new UserError(problems);
}

/** What would keep containerd from starting containers. */
export function containerdWarnings({ facts }: EngineDevice): Problem[] {
  return [
    ...versionWarnings(facts.engines.find(({ name }) => name === 'containerd')?.version),
    ...kernelWarnings(facts, 'containerd', containerdKernelOptions),
    ...cgroupWarnings(facts, 'containerd'),
  ];
}

function versionWarnings(version: string | undefined): Problem[] {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (version === undefined || major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return [];
  return [
    {
      code: 'CONTAINERD_UNTRIED',
      message: `the base image has containerd ${version}; the oldest one that was tried is ${OLDEST.join('.')}`,
      hint: 'Take a base image with a newer containerd, or try it out before you rely on it.',
    },
  ];
}
