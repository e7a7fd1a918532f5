import { UserError, type DeviceFacts, type Problem } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { refuseForeignSettings } from '../foreign-settings.ts';
import { kernelWarnings } from '../kernel-warnings.ts';
import { engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { namesOurStore, podmanFacts, podmanImageStore } from './image-store.ts';
import { podmanKernelOptions } from './kernel-options.ts';
import { GRAPH_ROOT, IMAGES, podmanSocket } from './socket.ts';
import { withAdditionalStore } from './storage-conf.ts';

/** The oldest one that was tried. */
const OLDEST = [4, 3] as const;

/**
 * Refuses a base whose vendor has set podman up so that our store would not be used; names the setting and its place, and
 * what it collides with. All conflicts at once: ENGINE_MISSING, ENGINE_CONFLICT, NETAVARK_MISSING, UNKNOWN_IMAGE_STORE.
 */
export function checkPodmanSettings(device: EngineDevice): void {
  const { facts } = device;
  const podman = requireEngine(facts, 'podman', 'podman');
  const store = podmanImageStore(device);
  refuseForeignSettings(device.engine, []);
  const problems: Problem[] = [];
  const { file, driver, graphroot, imagestore, text } = podman.storageConfig ?? {};
  const conflict = (key: string, value: string, store: string) =>
    problems.push(engineConflict(`${key} = ${JSON.stringify(value)} (${file})`, store));
  if (graphroot && graphroot.replace(/\/+$/, '') !== GRAPH_ROOT) {
    const why = store === 'graphroot' ? `is mounted at ${GRAPH_ROOT}` : `has its containers' place at ${GRAPH_ROOT}`;
    conflict('graphroot', graphroot, why);
  }
  if (driver && driver !== 'overlay') conflict('driver', driver, 'is made for overlay');
  if (imagestore)
    conflict('imagestore', imagestore, `has its images at ${store === 'graphroot' ? GRAPH_ROOT : IMAGES}`);
  if (store === 'graphroot' && namesOurStore(podman)) {
    problems.push({
      ...engineConflict(`"${IMAGES}" in additionalimagestores (${file})`, 'is a graph root'),
      hint: 'Write imageStore: additional, or take a base image that was not made for it.',
    });
  }
  if (store === 'additional' && withAdditionalStore(text, IMAGES) === undefined) {
    problems.push({
      ...engineConflict(file!, 'has to be named there as an additional image store'),
      hint: 'Write its settings in the tables [storage] and [storage.options], or write imageStore: graphroot.',
    });
  }
  if (podman.netavark === false && majorOf(podman.version) === 4) {
    problems.push({
      code: 'NETAVARK_MISSING',
      message: `the base image has podman ${podman.version} without netavark, and this podman does nothing on our store without it`,
      hint: 'Add netavark (and aardvark-dns, for the names of services) to the base image.',
    });
  }
  problems.push(...mountConflicts(facts, podmanSocket(store)));
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
  const version = podmanFacts(facts)?.version;
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
  const podman = podmanFacts(facts);
  if (podman?.netavark !== false || majorOf(podman.version) === 4) return []; // podman 4 is refused
  return [
    {
      code: 'NETAVARK_MISSING',
      message: 'the base image has podman without netavark: only services with network_mode host or none can start',
      hint: 'Add netavark (and aardvark-dns, for the names of services) to the base image.',
    },
  ];
}
