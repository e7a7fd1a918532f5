import { UserError, type DeviceFacts, type EngineFacts, type Problem } from '@boxship/model';

/** Refuses a base that the socket cannot work on; all reasons at once. */
export function checkSocketNeeds(facts: DeviceFacts): void {
  const problems: Problem[] = [];
  const problem = (code: string, message: string, hint: string) => problems.push({ code, message, hint });
  if (facts.init !== 'systemd') {
    problem('INIT_UNSUPPORTED', 'the base image does not start with systemd', 'Use a base image with systemd.');
  }
  if (facts.ostree) {
    problem(
      'OSTREE_NOT_EDITED',
      'the base image is an OSTree deployment, which must not be edited',
      "Use a format that follows the vendor's contract, or a base image built with the generated Yocto layer.",
    );
  }
  const missing = ['sh', 'openssl', 'sha256sum', 'dd', 'gzip', 'find', 'grep', 'sed'].filter(
    (name) => facts.programs[name] === undefined,
  );
  if (missing.length > 0) {
    problem(
      'DEVICE_PROGRAM_MISSING',
      `the base image lacks ${missing.join(', ')}: the device could not verify its store`,
      'Add the packages to the base image (Debian: openssl, coreutils, gzip; Yocto: openssl-bin, busybox).',
    );
  }
  if (problems.length > 0) throw new UserError(problems);
}

/** Docker's data root that the store takes the place of. */
const DATA_ROOT = '/var/lib/docker';

/** dockerd's flags that decide about the store, with the daemon.json key of the same meaning. */
const FLAGS: readonly (readonly [key: string, names: readonly string[]])[] = [
  ['data-root', ['--data-root', '--graph', '-g']],
  ['storage-driver', ['--storage-driver', '-s']],
  ['userns-remap', ['--userns-remap']],
];

/**
 * Refuses a base whose vendor has set the engine up so that our store would not be used; names the setting and its place,
 * and what it collides with. All conflicts at once: ENGINE_MISSING, ENGINE_CONFLICT.
 */
export function checkEngineConfig(facts: DeviceFacts): void {
  const docker = facts.engines.find((engine) => engine.name === 'docker');
  if (!docker) {
    throw new UserError(
      'ENGINE_MISSING',
      'the base image has no docker engine (dockerd is in none of its program folders)',
      'Add docker to the base image, or build the base image with the generated Yocto layer.',
    );
  }
  const problems: Problem[] = [];
  const conflict = (setting: string, store: string) =>
    problems.push({
      code: 'ENGINE_CONFLICT',
      message: `${setting} in the base image collides with the store, which ${store}`,
      hint: 'Remove the setting from the base image.',
    });
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
  for (const point of facts.mountPoints ?? []) {
    if (point === DATA_ROOT || point.startsWith(`${DATA_ROOT}/`) || point === '/var/lib/containerd') {
      conflict(`the mount of ${point} (/etc/fstab)`, 'is mounted there');
    }
  }
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

/** moby contrib/check-config.sh, "Generally Necessary", and the storage driver. */
const NEEDED = `NAMESPACES NET_NS PID_NS IPC_NS UTS_NS CGROUPS CGROUP_CPUACCT CGROUP_DEVICE CGROUP_FREEZER CGROUP_SCHED
  CPUSETS MEMCG KEYS VETH BRIDGE POSIX_MQUEUE OVERLAY_FS EXT4_FS`.split(/\s+/);

/** What would keep the engine, or a part of the socket, from working on the device: for the plan. Empty when all is well. */
export function planWarnings(facts: DeviceFacts): Problem[] {
  const warnings: Problem[] = [];
  const warn = (code: string, message: string, hint: string) => warnings.push({ code, message, hint });
  const config = facts.kernelConfig;
  const lsm = config?.['LSM']?.split(',') ?? [];
  const apparmor =
    config?.['SECURITY_APPARMOR'] === 'y' && (lsm.includes('apparmor') || config['DEFAULT_SECURITY_APPARMOR'] === 'y');
  if (apparmor && !facts.apparmorParser) {
    warn(
      'APPARMOR_WITHOUT_PARSER',
      'the kernel switches AppArmor on and the base image has no apparmor_parser: unless its kernel command line has apparmor=0, docker will refuse to start any container',
      'Add the package apparmor to the base image, or apparmor=0 to its kernel command line (which is not read here).',
    );
  }
  if (!config) {
    warn(
      'KERNEL_CONFIG_UNKNOWN',
      'the base image has no kernel configuration (/boot/config-*), so kernel options could not be checked',
      'Make sure that its kernel has what containers need (moby contrib/check-config.sh).',
    );
  } else {
    const missing = NEEDED.filter((name) => (config[name] ?? 'n') === 'n');
    const cgroups = missing.filter((name) => /CGROUP|CPUSETS|MEMCG/.test(name));
    const others = missing.filter((name) => !cgroups.includes(name));
    if (cgroups.length > 0) {
      warn(
        'CGROUPS_MISSING',
        `the kernel lacks control group options: ${list(cgroups)}`,
        'Without them docker does not start, or limits have no effect: enable them in the kernel.',
      );
    }
    if (others.length > 0) {
      warn(
        'KERNEL_OPTIONS_MISSING',
        `the kernel lacks ${list(others)}`,
        'Containers need them: enable them in the kernel.',
      );
    }
  }
  if (!facts.programs['systemd-growfs'] && !facts.programs['resize2fs']) {
    warn(
      'CANNOT_GROW',
      'the base image has neither systemd-growfs nor resize2fs: the data partition will keep its size',
      'Add resize2fs (e2fsprogs) to the base image.',
    );
  }
  return warnings;
}

function list(names: readonly string[]): string {
  return names.map((name) => `CONFIG_${name}`).join(', ');
}
