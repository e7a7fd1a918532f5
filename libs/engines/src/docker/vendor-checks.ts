import { UserError, type DeviceFacts, type EngineFacts, type Problem } from '@boxship/model';
import { cgroupWarnings, switchesAppArmorOn } from '../kernel-command-line.ts';
import { kernelWarnings } from '../kernel-warnings.ts';
import type { EngineDevice } from '../engine.ts';
import { refuseForeignSettings } from '../foreign-settings.ts';
import { containerdRootConflicts, engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { dockerConfiguration } from './configuration.ts';
import { DAEMON_JSON, daemonSettings } from './daemon-settings.ts';
import { CONTAINERD_SOCKET, dockerFacts, dockerImageStore, majorOf, type DockerImageStore } from './image-store.ts';
import { dockerKernelOptions } from './kernel-options.ts';
import { CONTAINERD_ROOT, DATA_ROOT, dockerSocket } from './socket.ts';

/** The first docker that has containerd's image store, and the oldest one that was tried with it. */
const CONTAINERD_STORE = { since: 24, tried: 26 };

/**
 * Refuses a base whose vendor has set docker up so that our store would not be used; names the setting and its place, and
 * what it collides with. All conflicts at once: ENGINE_MISSING, ENGINE_CONFLICT, UNKNOWN_IMAGE_STORE, IMAGE_STORE_TOO_NEW.
 */
export function checkDockerSettings(device: EngineDevice): void {
  const { facts } = device;
  const docker = requireEngine(facts, 'docker', 'dockerd');
  const store = dockerImageStore(device);
  refuseForeignSettings(device.engine, []);
  const asked = device.engine.imageStore === undefined ? '' : ' (engine.imageStore in the product file)';
  const problems: Problem[] = [];
  const version = majorOf(docker);
  if (store === 'containerd' && version > 0 && version < CONTAINERD_STORE.since) {
    problems.push({
      code: 'IMAGE_STORE_TOO_NEW',
      message: `the base image has docker ${docker.version}, and its images cannot be in containerd's store before docker ${CONTAINERD_STORE.since}`,
      hint: 'Write imageStore: overlay2, or take a base image with a newer docker.',
    });
  }
  for (const { where, key, value } of daemonSettings(docker)) {
    const against = collision(store, key, value);
    if (against) {
      problems.push(engineConflict(`"${key}": ${JSON.stringify(value)} (${where})`, `${against}${asked}`));
    }
  }
  if (store === 'containerd') problems.push(...containerdRootConflicts(facts, CONTAINERD_ROOT));
  problems.push(...mountConflicts(facts, dockerSocket(device)), ...hiddenConfiguration(device, docker));
  if (problems.length > 0) throw new UserError(problems);
}

/** What of the store a setting collides with, if it does; completes "the store, which …". */
function collision(store: DockerImageStore, key: string, value: unknown): string | undefined {
  const inContainerd = store === 'containerd';
  switch (key) {
    case 'data-root':
    case 'graph':
      return value === DATA_ROOT || value === `${DATA_ROOT}/` ? undefined : `is mounted at ${DATA_ROOT}`;
    case 'storage-driver':
      if (value === (inContainerd ? 'overlayfs' : 'overlay2')) return undefined;
      return inContainerd ? "is made for containerd's snapshotter overlayfs" : 'is made for overlay2';
    case 'containerd-snapshotter':
      if (value === inContainerd) return undefined;
      return inContainerd ? "is made for containerd's image store" : "is made for docker's own image store";
    case 'userns-remap':
      return value === '' ? undefined : 'has owners that are not remapped';
    case 'containerd':
      if (!inContainerd || value === CONTAINERD_SOCKET || value === `unix://${CONTAINERD_SOCKET}`) return undefined;
      return `has its images in the containerd at ${CONTAINERD_SOCKET}`;
    case 'containerd-namespace':
      return !inContainerd || value === 'moby' ? undefined : 'has its images in the namespace moby';
    default:
      return undefined;
  }
}

/** The file that dockerd must read is not where it looks, or something of the vendor's is mounted over it. */
function hiddenConfiguration(device: EngineDevice, docker: EngineFacts): Problem[] {
  if (dockerConfiguration(device, { epoch: 0 }).length === 0) return [];
  const store = `needs ${DAEMON_JSON} to keep docker to its image store`;
  const elsewhere = daemonSettings(docker)
    .filter(({ key, value }) => key === 'config-file' && value !== DAEMON_JSON)
    .map(({ where, value }) => engineConflict(`"config-file": ${JSON.stringify(value)} (${where})`, store));
  const mounted = (device.facts.mountPoints ?? [])
    .filter((point) => point === '/etc/docker' || point === DAEMON_JSON)
    .map((point) => engineConflict(`the mount of ${point} (/etc/fstab)`, store));
  return [...elsewhere, ...mounted];
}

/** What would keep docker from starting, or from starting containers. */
export function dockerWarnings(device: EngineDevice): Problem[] {
  const { facts } = device;
  return [
    ...untriedStore(device),
    ...apparmorWarnings(facts),
    ...kernelWarnings(facts, 'docker', dockerKernelOptions),
    ...cgroupWarnings(facts, 'docker'),
  ];
}

function untriedStore(device: EngineDevice): Problem[] {
  const docker = dockerFacts(device.facts);
  const version = majorOf(docker);
  const isUntried = version > 0 && version < CONTAINERD_STORE.tried && dockerImageStore(device) === 'containerd';
  if (!isUntried) return [];
  return [
    {
      code: 'IMAGE_STORE_UNTRIED',
      message: `the base image has docker ${docker?.version}; the oldest one that was tried with containerd's image store is ${CONTAINERD_STORE.tried}`,
      hint: 'Write imageStore: overlay2, or try it out before you rely on it.',
    },
  ];
}

/** moby daemon/apparmor_default.go: with AppArmor in the kernel and no parser, no container starts. */
function apparmorWarnings(facts: DeviceFacts): Problem[] {
  if (facts.apparmorParser || !facts.kernelConfig) return [];
  const isOn = switchesAppArmorOn(facts);
  if (isOn === false) return [];
  const lines = facts.kernelCommandLines ?? [];
  const hint = 'Add the package apparmor to the base image, or apparmor=0 to its kernel command line.';
  const places = [...new Set(lines.map(({ where }) => where))].join(', ');
  const message = isOn
    ? `the kernel switches AppArmor on (its configuration and its command line, ${places}), and the base image has no apparmor_parser: docker will refuse to start any container`
    : lines.length === 0
      ? 'the kernel is built to switch AppArmor on, and the base image has no apparmor_parser: docker will refuse to start any container, unless the kernel command line has apparmor=0; that was found in no place that is read here (systemd-boot, extlinux, GRUB, cmdline.txt)'
      : `the entries of the boot loader differ in whether the kernel switches AppArmor on (${places}), and the base image has no apparmor_parser: where it does, docker will refuse to start any container`;
  return [{ code: 'APPARMOR_WITHOUT_PARSER', message, hint }];
}
