import { plainDeviceFacts, type EngineSettings, type VariantEngine } from '@boxship/model';
import type { EngineBuild } from '../engine.ts';
import { storeSettings } from './configuration.ts';
import { CONTAINERD_SOCKET, dockerImageStore } from './image-store.ts';

export const dockerBuild: EngineBuild = {
  platforms: {
    known: ['linux/386', 'linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v8'],
    why: 'docker-moby of meta-virtualization requires seccomp, which OpenEmbedded switches off there, or knows no such machine',
  },
  buildNeeds: (release, settings, engine) => ({
    packages: engine.start === 'compose' ? ['docker', 'docker-compose'] : ['docker'],
    recommendedPackages: ['kernel-modules'],
    distroFeatures: ['ipv6', 'seccomp', 'virtualization'],
    layers: ['virtualization-layer'],
    ...(release.hasContainerProfile ? { containerProfile: 'docker' } : {}),
    distroVariables: {},
    configuration: [
      { path: '/etc/docker/daemon.json', text: `${JSON.stringify(daemonConfig(settings, engine), null, 2)}\n` },
    ],
    replacedPackages: release.hasContainerProfile ? ['docker-registry-config'] : [],
    units: ['docker.service'],
    probe: ['docker', 'info'],
  }),
  builtEngine: ({ packages, configuration }) => ({
    name: 'docker',
    program: '/usr/bin/dockerd',
    unit: 'docker.service',
    // as docker's own unit has it, which its recipe installs
    execStart: `/usr/bin/dockerd -H fd:// --containerd=${CONTAINERD_SOCKET}`,
    daemonConfig: JSON.parse(configuration[0]!.text) as Record<string, unknown>,
    composePlugin: packages.includes('docker-compose'),
  }),
};

/** docs.docker.com "Daemon configuration file"; unless told otherwise, images are in docker's own store, which takes less room. */
function daemonConfig(
  { logs, liveRestore, addressPools, insecureRegistries, mirrors }: EngineSettings,
  engine: VariantEngine,
) {
  const hub = mirrors['docker.io'] ?? [];
  return {
    ...storeSettings(dockerImageStore({ facts: plainDeviceFacts(), engine })),
    'log-driver': 'local',
    'log-opts': { 'max-size': `${logs?.maxBytes ?? 1024 * 1024}`, 'max-file': `${logs?.maxFiles ?? 2}` },
    'live-restore': liveRestore ?? true,
    ...(addressPools.length > 0 ? { 'default-address-pools': addressPools } : {}),
    ...(insecureRegistries.length > 0 ? { 'insecure-registries': insecureRegistries } : {}),
    ...(hub.length > 0 ? { 'registry-mirrors': hub } : {}),
  };
}
