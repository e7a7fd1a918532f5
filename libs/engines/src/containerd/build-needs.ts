import type { EngineSettings } from '@boxship/model';
import type { ConfigurationFile } from '@boxship/yocto';
import type { EngineBuild } from '../engine.ts';
import { tomlText } from '../toml-text.ts';

export const containerdBuild: EngineBuild = {
  platforms: {
    known: ['linux/386', 'linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v8'],
    why: 'meta-virtualization knows no such machine',
  },
  buildNeeds: (release, settings) => ({
    packages: ['cni', 'nerdctl', 'virtual-containerd'],
    recommendedPackages: ['kernel-modules'],
    distroFeatures: ['ipv6', 'seccomp', 'virtualization'],
    layers: ['virtualization-layer'],
    ...(release.hasContainerProfile ? { containerProfile: 'containerd' } : {}),
    distroVariables: {},
    configuration: hostsFiles(settings),
    replacedPackages: [],
    units: ['containerd.service'],
    probe: ['ctr', 'version'],
  }),
  builtEngine: () => ({
    name: 'containerd',
    program: '/usr/bin/containerd',
    unit: 'containerd.service',
    composePlugin: false,
  }),
};

/** containerd docs/hosts.md: a folder for each registry; nerdctl and the CRI plugin read them. */
function hostsFiles({ insecureRegistries, mirrors }: EngineSettings): readonly ConfigurationFile[] {
  const hosts = [...new Set([...insecureRegistries, ...Object.keys(mirrors)])].sort();
  return hosts.map((host) => {
    const isInsecure = insecureRegistries.includes(host);
    const urls = [...(mirrors[host] ?? []), ...(isInsecure ? [`https://${host}`, `http://${host}`] : [])];
    const tables = urls.map((url) => {
      const skip = isInsecure && url.endsWith(`//${host}`) ? '  skip_verify = true\n' : '';
      return `\n[host.${tomlText(url)}]\n  capabilities = ["pull", "resolve"]\n${skip}`;
    });
    return {
      path: `/etc/containerd/certs.d/${host}/hosts.toml`,
      text: `server = ${tomlText(`https://${host === 'docker.io' ? 'registry-1.docker.io' : host}`)}\n${tables.join('')}`,
    };
  });
}
