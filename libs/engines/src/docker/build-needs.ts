import type { EngineSettings } from '@boxship/model';
import type { EngineBuild } from '../build-needs.ts';

export const dockerBuild: EngineBuild = {
  name: 'docker',
  platforms: {
    known: ['linux/386', 'linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v8'],
    why: 'docker-moby of meta-virtualization requires seccomp, which OpenEmbedded switches off there, or knows no such machine',
  },
  buildNeeds: (release, settings, start) => ({
    packages: start === 'compose' ? ['docker', 'docker-compose'] : ['docker'],
    recommendedPackages: ['kernel-modules'],
    distroFeatures: ['ipv6', 'seccomp', 'virtualization'],
    layers: ['virtualization-layer'],
    ...(release.hasContainerProfile ? { containerProfile: 'docker' } : {}),
    distroVariables: {},
    configuration: [{ path: '/etc/docker/daemon.json', text: `${JSON.stringify(daemonConfig(settings), null, 2)}\n` }],
    replacedPackages: release.hasContainerProfile ? ['docker-registry-config'] : [],
    units: ['docker.service'],
    probe: ['docker', 'info'],
  }),
  builtEngine: ({ packages, configuration }) => ({
    name: 'docker',
    program: '/usr/bin/dockerd',
    unit: 'docker.service',
    daemonConfig: JSON.parse(configuration[0]!.text) as Record<string, unknown>,
    composePlugin: packages.includes('docker-compose'),
  }),
};

/**
 * docs.docker.com "Daemon configuration file". The store is made for overlay2 of docker itself: from 29 on, a docker that
 * finds no data of its own would choose the image store of containerd.
 */
function daemonConfig({ logs, liveRestore, addressPools, insecureRegistries, mirrors }: EngineSettings) {
  const hub = mirrors['docker.io'] ?? [];
  return {
    'storage-driver': 'overlay2',
    features: { 'containerd-snapshotter': false },
    'log-driver': 'local',
    'log-opts': { 'max-size': `${logs?.maxBytes ?? 1024 * 1024}`, 'max-file': `${logs?.maxFiles ?? 2}` },
    'live-restore': liveRestore ?? true,
    ...(addressPools.length > 0 ? { 'default-address-pools': addressPools } : {}),
    ...(insecureRegistries.length > 0 ? { 'insecure-registries': insecureRegistries } : {}),
    ...(hub.length > 0 ? { 'registry-mirrors': hub } : {}),
  };
}
