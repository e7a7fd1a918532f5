import type { DeviceFacts, Problem } from '@boxship/model';

/**
 * The value of a parameter of the kernel's command line: `''` for one without a value, undefined when it is not there. As
 * for the kernel and systemd, the last one counts. Double quotes keep spaces (kernel-parameters.rst).
 */
export function kernelParameter(text: string, name: string): string | undefined {
  let found: string | undefined;
  for (const [word] of text.matchAll(/(?:"[^"]*"|[^\s"])+/g)) {
    const plain = word.replaceAll('"', '');
    if (plain === name) found = '';
    else if (plain.startsWith(`${name}=`)) found = plain.slice(name.length + 1);
  }
  return found;
}

/**
 * Whether the kernel switches AppArmor on (security/security.c `ordered_lsm_parse`, security/apparmor/lsm.c): `apparmor=0`
 * switches it off; `lsm=` stands in for CONFIG_LSM; `security=` chooses one of the old modules and switches the others off.
 * Undefined when what decides is not known, or differs between the entries of the boot loader.
 */
export function switchesAppArmorOn({ kernelConfig, kernelCommandLines = [] }: DeviceFacts): boolean | undefined {
  if (!kernelConfig) return undefined;
  if (kernelConfig['SECURITY_APPARMOR'] !== 'y') return false;
  const byDefault =
    (kernelConfig['LSM']?.split(',') ?? []).includes('apparmor') || kernelConfig['DEFAULT_SECURITY_APPARMOR'] === 'y';
  if (kernelCommandLines.length === 0) return byDefault ? undefined : false;
  const answers = kernelCommandLines.map(({ text }) => {
    if (kernelParameter(text, 'apparmor') === '0') return false;
    const lsm = kernelParameter(text, 'lsm');
    if (lsm !== undefined) return lsm.split(',').includes('apparmor');
    const major = kernelParameter(text, 'security');
    return major ? major === 'apparmor' : byDefault;
  });
  return answers.every((answer) => answer === answers[0]) ? answers[0] : undefined;
}

/** Controllers whose limits a Compose file can set. */
const CONTROLLERS = ['memory', 'cpu', 'cpuset', 'pids', 'io', 'blkio', 'devices'];

/** What the kernel's command line does to control groups that containers would miss. `engine` names it in the hints. */
export function cgroupWarnings(
  { kernelCommandLines = [], systemdVersion = 0 }: DeviceFacts,
  engine: string,
): Problem[] {
  return kernelCommandLines.flatMap(({ where, text }) => {
    const warnings: Problem[] = [];
    const list = (name: string) => kernelParameter(text, name)?.split(',') ?? [];
    // kernels of Raspberry Pi know cgroup_enable
    const gone = list('cgroup_disable').filter((name) => CONTROLLERS.includes(name) && !list('cgroup_enable').includes(name)); // prettier-ignore
    if (gone.length > 0) {
      warnings.push({
        code: 'CGROUPS_DISABLED',
        message: `the kernel's command line switches control groups off (cgroup_disable=${gone.join(',')}; ${where}): such limits have no effect`,
        hint: `Take it out of the boot loader's configuration, or let no service of ${engine} ask for such a limit.`,
      });
    }
    const hierarchy = kernelParameter(text, 'systemd.unified_cgroup_hierarchy')?.toLowerCase();
    const isLegacy = ['0', 'no', 'n', 'false', 'f', 'off'].includes(hierarchy ?? '');
    // systemd NEWS, 256: it refuses to start with version 1 unless this is there; 258: support is gone
    const isForced = kernelParameter(text, 'SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE') === '1' && systemdVersion < 258;
    if (isLegacy && systemdVersion >= 256 && !isForced) {
      warnings.push({
        code: 'CGROUP_V1_REFUSED',
        message: `the kernel's command line asks for version 1 of control groups (${where}), with which systemd ${systemdVersion} does not start`,
        hint: 'Take systemd.unified_cgroup_hierarchy=0 out of it.',
      });
    }
    return warnings;
  });
}
