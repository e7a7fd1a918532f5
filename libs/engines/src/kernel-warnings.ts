import type { DeviceFacts, Problem } from '@boxship/model';
import { kernelFeatures, missingOptions, type EngineKernelOptions, type KernelOption } from './kernel-options.ts';

/**
 * What the kernel lacks of the options that an engine needs and of those that it uses as it comes, as far as the base image
 * has its configuration; not knowing is a warning too.
 */
export function kernelWarnings(facts: DeviceFacts, engine: string, table: EngineKernelOptions): Problem[] {
  const { kernelConfig, kernelVersion: version } = facts;
  if (!kernelConfig) {
    return [
      {
        code: 'KERNEL_CONFIG_UNKNOWN',
        message: 'the base image has no kernel configuration (/boot/config-*), so kernel options could not be checked',
        hint: 'Check the one that its build made: boxship assess --kernel-config FILE.',
      },
    ];
  }
  const { required, features } = missingOptions(table, kernelConfig, version === undefined ? {} : { version });
  const cgroups = required.filter(({ symbol }) => /CGROUP|CPUSETS|MEMCG/.test(symbol));
  const others = required.filter((option) => !cgroups.includes(option));
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
  for (const { feature, missing } of features) {
    warnings.push({
      code: 'KERNEL_FEATURE_MISSING',
      message: `the kernel lacks ${list(missing)}: there will be no ${feature} (${kernelFeatures[feature]})`,
      hint: 'Enable them in the kernel, or do without: see boxship assess.',
    });
  }
  return warnings;
}

function list(options: readonly KernelOption[]): string {
  return options.map(({ symbol }) => `CONFIG_${symbol}`).join(', ');
}
