import type { EngineSettings } from '@boxship/model';
import type { EngineBuild } from '../engine.ts';

export const k3sBuild: EngineBuild = {
  platforms: {
    known: ['linux/amd64', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v8'],
    why: 'k3s is made for 64-bit x86 and Arm, and for Arm from version 7 on',
  },
  buildNeeds: (release, settings) => ({
    packages: ['k3s-cni', 'k3s-server'],
    recommendedPackages: ['kernel-modules'],
    distroFeatures: ['ipv6', 'k3s', 'seccomp', 'virtualization'],
    layers: ['virtualization-layer'],
    ...(release.hasContainerProfile ? { containerProfile: 'k3s-host' } : {}),
    distroVariables: {},
    configuration: [
      { path: '/etc/rancher/k3s/config.yaml.d/50-boxship.yaml', text: k3sConfig(settings) },
      { path: '/etc/rancher/k3s/registries.yaml', text: registries(settings) },
    ].filter(({ text }) => text !== ''),
    replacedPackages: [],
    units: ['k3s.service'],
    probe: ['k3s', 'kubectl', 'get', 'nodes'],
  }),
  // BIN_PREFIX of meta-virtualization's recipe
  builtEngine: () => ({ name: 'k3s', program: '/usr/local/bin/k3s', unit: 'k3s.service', composePlugin: false }),
};

/** docs.k3s.io "Configuration file": files of config.yaml.d are read after config.yaml, which the engine's package owns. */
function k3sConfig({ logs }: EngineSettings): string {
  const megabytes = logs ? Math.max(1, Math.ceil(logs.maxBytes / (1024 * 1024))) : 1;
  const files = Math.max(2, logs?.maxFiles ?? 2); // the kubelet refuses fewer
  return [
    'disable-cloud-controller: true\n',
    'disable: ["traefik", "metrics-server"]\n',
    `kubelet-arg:\n  - "container-log-max-size=${megabytes}Mi"\n  - "container-log-max-files=${files}"\n`,
  ].join('');
}

/** docs.k3s.io "Private registry configuration". */
function registries({ insecureRegistries, mirrors }: EngineSettings): string {
  const lines: string[] = [];
  const names = Object.keys(mirrors).sort();
  if (names.length > 0) lines.push('mirrors:');
  for (const host of names) {
    lines.push(`  ${JSON.stringify(host)}:`, '    endpoint:');
    for (const url of mirrors[host]!) lines.push(`      - ${JSON.stringify(url)}`);
  }
  if (insecureRegistries.length > 0) lines.push('configs:');
  for (const host of [...insecureRegistries].sort()) {
    lines.push(`  ${JSON.stringify(host)}:`, '    tls:', '      insecure_skip_verify: true');
  }
  return lines.map((line) => `${line}\n`).join('');
}
