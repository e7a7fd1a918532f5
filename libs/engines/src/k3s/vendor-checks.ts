import { UserError, type EngineFacts, type Problem } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { refuseForeignSettings } from '../foreign-settings.ts';
import { namedImageStore } from '../image-store-name.ts';
import { cgroupWarnings } from '../kernel-command-line.ts';
import { kernelWarnings } from '../kernel-warnings.ts';
import { engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { k3sKernelOptions } from './kernel-options.ts';
import { CONTAINERD_ROOT, DATA_DIR, k3sSocket } from './socket.ts';

/** The oldest one with a containerd that was tried: 1.6 (k3s release notes). */
const OLDEST = [1, 24] as const;
/** Of every k3s that is maintained (k3s pkg/cli/cmds/agent.go, "pause-image"). */
const PAUSE_IMAGE = 'docker.io/rancher/mirrored-pause:3.6';

/**
 * Refuses a base whose k3s would not use the store, or is no server; all reasons at once: ENGINE_MISSING, ENGINE_CONFLICT,
 * UNKNOWN_IMAGE_STORE, NOT_FOR_ENGINE.
 */
export function checkK3sSettings({ facts, engine }: EngineDevice): void {
  namedImageStore(engine, []);
  refuseForeignSettings(engine, ['discardUnpackedLayers', 'images']);
  const k3s = requireEngine(facts, 'k3s', 'k3s');
  const problems = mountConflicts(facts, k3sSocket);
  const { execStart = '', unit = 'k3s.service' } = k3s;
  if (/\bk3s\s+agent\b/.test(execStart)) {
    problems.push(engineConflict(`k3s agent (ExecStart of ${unit})`, 'starts apps from the manifests folder of a server'));
  } // prettier-ignore
  const settings = settingsOf(k3s);
  const conflict = (name: string, isFine: (value: string) => boolean, store: string) => {
    for (const { value, place } of settings.filter((one) => one.name === name)) {
      if (!isFine(value)) problems.push(engineConflict(`${name}${value === '' ? '' : `: ${value}`} (${place})`, store));
    }
  };
  conflict('data-dir', (value) => value.replace(/\/+$/, '') === DATA_DIR, `is mounted below ${DATA_DIR}`);
  conflict('snapshotter', (value) => value === 'overlayfs', 'has its layers ready for overlayfs');
  conflict('container-runtime-endpoint', () => false, `is for the containerd of k3s, at ${CONTAINERD_ROOT}`);
  conflict('docker', isOff, `is for the containerd of k3s, at ${CONTAINERD_ROOT}`);
  conflict('disable-agent', isOff, 'is for a server that runs containers itself');
  if (problems.length > 0) throw new UserError(problems);
}

/** What is not proven, and what would keep k3s from starting pods without a network. */
export function k3sWarnings({ facts, engine }: EngineDevice): Problem[] {
  const k3s = facts.engines.find(({ name }) => name === 'k3s');
  return [
    {
      code: 'K3S_UNPROVEN',
      message: 'k3s is unproven: its containerd takes such a store, and no k3s has run on one yet',
      hint: 'Try it on your device before you rely on it.',
    },
    ...versionWarnings(k3s?.version),
    ...imageWarnings(engine.images ?? [], k3s ? settingsOf(k3s) : []),
    ...kernelWarnings(facts, 'k3s', k3sKernelOptions),
    ...cgroupWarnings(facts, 'k3s'),
  ];
}

/** Pods need an image of the engine's own, and names of services the DNS of the cluster; both are pulled when missing. */
function imageWarnings(images: readonly string[], settings: readonly Setting[]): Problem[] {
  const given = settings.findLast(({ name }) => name === 'pause-image')?.value;
  const warnings: Problem[] = [];
  if (!images.some((image) => (given === undefined ? image.startsWith('docker.io/rancher/mirrored-pause:') : image.endsWith(given)))) {
    warnings.push({
      code: 'K3S_IMAGE_MISSING',
      message: 'no pause image is among engine.images: without a network, k3s starts no pod',
      hint: `Write engine: { name: k3s, images: [${given ?? PAUSE_IMAGE}] }, with the one of your k3s (its k3s-images.txt).`,
    });
  }
  const disabled = settings.filter(({ name }) => name === 'disable').flatMap(({ value }) => value.split(','));
  if (!images.some((image) => /\/(mirrored-)?coredns[^/]*:/.test(image)) && !disabled.includes('coredns')) {
    warnings.push({
      code: 'K3S_IMAGE_MISSING',
      message: 'no coredns is among engine.images: without a network, services do not find each other by name',
      hint: 'Add rancher/mirrored-coredns-coredns with the tag of your k3s (its k3s-images.txt), unless each service is alone.',
    });
  }
  return warnings;
} // prettier-ignore

interface Setting {
  readonly name: string;
  /** Empty for a flag without a value. */
  readonly value: string;
  /** Where it is said, for errors. */
  readonly place: string;
}

/** What k3s is told: flags of its unit, and its configuration files, in which the flags stand without their dashes. */
function settingsOf({ execStart = '', unit = 'k3s.service', serverConfig = [] }: EngineFacts): readonly Setting[] {
  const flags = [...execStart.matchAll(/(?<=\s)--?([a-z][a-z-]*)(?:[= ](?!-)(\S+))?/g)].map(([, name = '', value = '']) => ({
    name: name === 'd' ? 'data-dir' : name,
    value: value.replace(/^(["'])(.*)\1$/, '$2'),
    place: `ExecStart of ${unit}`,
  }));
  return [...serverConfig.map(({ name, value, file }) => ({ name, value, place: file })), ...flags];
} // prettier-ignore

function isOff(value: string): boolean {
  return value === 'false';
}

function versionWarnings(version: string | undefined): Problem[] {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (version === undefined || major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return [];
  return [
    {
      code: 'K3S_UNTRIED',
      message: `the base image has k3s ${version}, whose containerd is older than the oldest one that was tried; that of k3s ${OLDEST.join('.')} is the oldest`,
      hint: 'Take a base image with a newer k3s.',
    },
  ];
}
