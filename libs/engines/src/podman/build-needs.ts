import { plainDeviceFacts, type EngineSettings } from '@boxship/model';
import type { ConfigurationChange } from '@boxship/yocto';
import type { EngineBuild } from '../engine.ts';
import { tomlText } from '../toml-text.ts';
import { podmanImageStore, type PodmanImageStore } from './image-store.ts';
import { GRAPH_ROOT, IMAGES } from './socket.ts';

/** Of container-host-config, which podman brings along (meta-virtualization): there are no drop-ins for it. */
const STORAGE_CONF = '/etc/containers/storage.conf';

export const podmanBuild: EngineBuild = {
  platforms: {
    known: ['linux/386', 'linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v8'],
    why: 'podman of meta-virtualization requires seccomp, which OpenEmbedded switches off there, or knows no such machine',
  },
  buildNeeds: (release, settings, engine) => ({
    packages: ['aardvark-dns', 'netavark', 'podman'],
    recommendedPackages: ['kernel-modules'],
    distroFeatures: ['ipv6', 'seccomp', 'virtualization'],
    layers: ['virtualization-layer'],
    ...(release.hasContainerProfile ? { containerProfile: 'podman' } : {}),
    distroVariables: {},
    // container-host-config owns storage.conf and registries.conf
    configuration: [
      { path: '/etc/containers/containers.conf.d/50-boxship.conf', text: containersConf(settings) },
      { path: '/etc/containers/registries.conf.d/50-boxship.conf', text: registriesConf(settings) },
    ].filter(({ text }) => text !== ''),
    configurationChanges: storageChanges(podmanImageStore({ facts: plainDeviceFacts(), engine })),
    replacedPackages: [],
    units: ['podman.socket'],
    probe: ['podman', 'info'],
  }),
  builtEngine: ({ configurationChanges = [] }) => ({
    name: 'podman',
    program: '/usr/bin/podman',
    storageConfig: {
      file: STORAGE_CONF,
      driver: 'overlay',
      graphroot: GRAPH_ROOT,
      ...(configurationChanges.some(({ line }) => line.includes(IMAGES)) ? { additionalStores: [IMAGES] } : {}),
    },
    netavark: true,
    quadlet: true,
    composePlugin: false,
  }),
};

/**
 * containers-storage.conf(5). The driver of container-host-config is vfs from wrynose on (overlay in scarthgap), with which podman
 * sees nothing of a store; its list of additional stores is there and empty.
 */
function storageChanges(store: PodmanImageStore): readonly ConfigurationChange[] {
  const at = { package: 'container-host-config', path: STORAGE_CONF };
  const driver = { ...at, edits: ['s/^driver = .*/driver = "overlay"/'], line: 'driver = "overlay"' };
  if (store === 'graphroot') return [driver];
  const list = `additionalimagestores = [${tomlText(IMAGES)},`;
  const edits = [`\\#${IMAGES}#!s#^additionalimagestores = \\[#&"${IMAGES}",#`];
  return [driver, { ...at, edits, line: list }];
}

/** containers.conf(5). */
function containersConf({ logs, addressPools }: EngineSettings): string {
  const pools = addressPools.map(({ base, size }) => `  {"base" = ${tomlText(base)}, "size" = ${size}},\n`).join('');
  return [
    '[containers]\n',
    `log_size_max = ${logs ? logs.maxBytes * logs.maxFiles : 2 * 1024 * 1024}\n`,
    '\n[network]\nnetwork_backend = "netavark"\n',
    pools === '' ? '' : `default_subnet_pools = [\n${pools}]\n`,
  ].join('');
}

/** containers-registries.conf(5), version 2. */
function registriesConf({ insecureRegistries, mirrors }: EngineSettings): string {
  const hosts = [...new Set([...insecureRegistries, ...Object.keys(mirrors)])].sort();
  return hosts
    .map((host) =>
      [
        `[[registry]]\nlocation = ${tomlText(host)}\n`,
        insecureRegistries.includes(host) ? 'insecure = true\n' : '',
        ...(mirrors[host] ?? []).map((url) => {
          const insecure = url.startsWith('http:') ? 'insecure = true\n' : '';
          return `\n[[registry.mirror]]\nlocation = ${tomlText(url.replace(/^https?:\/\//, ''))}\n${insecure}`;
        }),
      ].join(''),
    )
    .join('\n');
}
