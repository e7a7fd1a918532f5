import { UserError, type DeviceFacts, type EngineFacts, type Problem } from '@boxship/model';
import { cgroupWarnings, switchesAppArmorOn } from '../kernel-command-line.ts';
import { kernelWarnings } from '../kernel-warnings.ts';
import { engineConflict, mountConflicts, requireEngine } from '../vendor-settings.ts';
import { dockerKernelOptions } from './kernel-options.ts';
import { DATA_ROOT, dockerSocket } from './socket.ts';

/** dockerd's flags that decide about the store, with the daemon.json key of the same meaning. */
const FLAGS: readonly (readonly [key: string, names: readonly string[]])[] = [
  ['data-root', ['--data-root', '--graph', '-g']],
  ['storage-driver', ['--storage-driver', '-s']],
  ['userns-remap', ['--userns-remap']],
];

/**
 * Refuses a base whose vendor has set docker up so that our store would not be used; names the setting and its place, and
 * what it collides with. All conflicts at once: ENGINE_MISSING, ENGINE_CONFLICT.
 */
export function checkDockerSettings(facts: DeviceFacts): void {
  const docker = requireEngine(facts, 'docker', 'dockerd');
  const problems: Problem[] = [];
  const conflict = (setting: string, store: string) => problems.push(engineConflict(setting, store));
  for (const { where, key, value } of dockerSettings(docker)) {
    const setting = `"${key}": ${JSON.stringify(value)} (${where})`;
    if ((key === 'data-root' || key === 'graph') && value !== DATA_ROOT && value !== `${DATA_ROOT}/`) {
      conflict(setting, `is mounted at ${DATA_ROOT}`);
    } else if (key === 'storage-driver' && value !== 'overlay2') {
      conflict(setting, 'is made for overlay2');
    } else if (key === 'userns-remap' && value !== '') {
      conflict(setting, 'has owners that are not remapped');
    } else if (key === 'containerd-snapshotter' && value === true) {
      conflict(setting, "is made for docker's own image store");
    }
  }
  problems.push(...mountConflicts(facts, dockerSocket));
  if (problems.length > 0) throw new UserError(problems);
}

function dockerSettings(docker: EngineFacts): { where: string; key: string; value: unknown }[] {
  const settings: { where: string; key: string; value: unknown }[] = [];
  const words = (docker.execStart ?? '').split(' ');
  for (const [key, names] of FLAGS) {
    words.forEach((word, index) => {
      const name = names.find((flag) => word === flag || word.startsWith(`${flag}=`));
      if (!name) return;
      const value = word === name ? (words[index + 1] ?? '') : word.slice(name.length + 1);
      settings.push({ where: `ExecStart of ${docker.unit ?? 'docker.service'}: ${name}`, key, value });
    });
  }
  const config = docker.daemonConfig ?? {};
  const features = typeof config['features'] === 'object' ? (config['features'] as Record<string, unknown> | null) : {};
  for (const [key, value] of [...Object.entries(config), ...Object.entries(features ?? {})]) {
    settings.push({ where: '/etc/docker/daemon.json', key, value });
  }
  return settings;
}

/** What would keep docker from starting, or from starting containers. */
export function dockerWarnings(facts: DeviceFacts): Problem[] {
  return [
    ...apparmorWarnings(facts),
    ...kernelWarnings(facts, 'docker', dockerKernelOptions),
    ...cgroupWarnings(facts, 'docker'),
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
