import { UserError, type DeviceFacts, type Problem } from '@boxship/model';
import { kernelWarnings } from '../kernel-warnings.ts';
import { engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { podmanKernelOptions } from './kernel-options.ts';
import { GRAPH_ROOT, podmanSocket } from './socket.ts';

/** The oldest one that was tried. */
const OLDEST = [4, 3] as const;

/**
 * Refuses a base whose vendor has set podman up so that our store would not be used; names the setting and its place, and
 * what it collides with. All conflicts at once: ENGINE_MISSING, ENGINE_CONFLICT, NETAVARK_MISSING.
 */
export function checkPodmanSettings(facts: DeviceFacts): void {
  const podman = requireEngine(facts, 'podman', 'podman');
  const problems: Problem[] = [];
  const { file, driver, graphroot, imagestore } = podman.storageConfig ?? {};
  const conflict = (key: string, value: string, store: string) =>
    problems.push(engineConflict(`${key} = ${JSON.stringify(value)} (${file})`, store));
  if (graphroot && graphroot.replace(/\/+$/, '') !== GRAPH_ROOT) {
    conflict('graphroot', graphroot, `is mounted at ${GRAPH_ROOT}`);
  }
  if (driver && driver !== 'overlay') conflict('driver', driver, 'is made for overlay');
  if (imagestore) conflict('imagestore', imagestore, `has its images at ${GRAPH_ROOT}`);
  if (podman.netavark === false && majorOf(podman.version) === 4) {
    problems.push({
      code: 'NETAVARK_MISSING',
      message: `the base image has podman ${podman.version} without netavark, and this podman does nothing on our store without it`,
      hint: 'Add netavark (and aardvark-dns, for the names of services) to the base image.',
    });
  }
  problems.push(...mountConflicts(facts, podmanSocket));
  if (problems.length > 0) throw new UserError(problems);
}

/** What would keep podman from starting containers. */
export function podmanWarnings(facts: DeviceFacts): Problem[] {
  return [
    ...versionWarnings(facts),
    ...networkWarnings(facts),
    ...kernelWarnings(facts, 'podman', podmanKernelOptions),
  ];
}

function versionWarnings(facts: DeviceFacts): Problem[] {
  const version = facts.engines.find(({ name }) => name === 'podman')?.version;
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (version === undefined || major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return [];
  return [
    {
      code: 'PODMAN_UNTRIED',
      message: `the base image has podman ${version}; the oldest one that was tried is ${OLDEST.join('.')}`,
      hint: 'Take a base image with a newer podman, or try it out before you rely on it.',
    },
  ];
}

function majorOf(version = ''): number {
  return Number(version.split('.')[0]);
}

function networkWarnings(facts: DeviceFacts): Problem[] {
  const podman = facts.engines.find(({ name }) => name === 'podman');
  if (podman?.netavark !== false || majorOf(podman.version) === 4) return []; // podman 4 is refused
  return [
    {
      code: 'NETAVARK_MISSING',
      message: 'the base image has podman without netavark: only services with network_mode host or none can start',
      hint: 'Add netavark (and aardvark-dns, for the names of services) to the base image.',
    },
  ];
}
