import type { DeviceFacts, Problem } from '@boxship/model';

/**
 * What the kernel lacks of the options that an engine needs (names without CONFIG_), as far as the base image has its
 * configuration; not knowing is a warning too. `source` names the list that the options come from.
 */
export function kernelWarnings(
  facts: DeviceFacts,
  engine: string,
  needed: readonly string[],
  source: string,
): Problem[] {
  const config = facts.kernelConfig;
  if (!config) {
    return [
      {
        code: 'KERNEL_CONFIG_UNKNOWN',
        message: 'the base image has no kernel configuration (/boot/config-*), so kernel options could not be checked',
        hint: `Make sure that its kernel has what containers need (${source}).`,
      },
    ];
  }
  const missing = needed.filter((name) => (config[name] ?? 'n') === 'n');
  const cgroups = missing.filter((name) => /CGROUP|CPUSETS|MEMCG/.test(name));
  const others = missing.filter((name) => !cgroups.includes(name));
  const warnings: Problem[] = [];
  if (cgroups.length > 0) {
    warnings.push({
      code: 'CGROUPS_MISSING',
      message: `the kernel lacks control group options: ${list(cgroups)}`,
      hint: `Without them ${engine} does not start, or limits have no effect: enable them in the kernel.`,
    });
  }
  if (others.length > 0) {
    warnings.push({
      code: 'KERNEL_OPTIONS_MISSING',
      message: `the kernel lacks ${list(others)}`,
      hint: 'Containers need them: enable them in the kernel.',
    });
  }
  return warnings;
}

function list(names: readonly string[]): string {
  return names.map((name) => `CONFIG_${name}`).join(', ');
}
