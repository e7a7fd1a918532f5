import { engines, kernelFeatures, missingOptions, type Engine, type KernelOption } from '@boxship/engines';
import { pick } from '@boxship/model';
import type { Check, MissingKernelOption } from './assessment.ts';
import type { KnownFacts } from './known-facts.ts';

export interface KernelCheck {
  readonly checks: readonly Check[];
  readonly missing: readonly MissingKernelOption[];
}

const MEND = 'Add the configuration fragment of the generated layer (boxship layer), or switch them on in the kernel.';

/** What the kernel lacks for the engine; nothing is missing where no configuration is known. */
export function checkKernel({ kernel, engine }: KnownFacts): KernelCheck {
  if (!kernel) {
    const finding = 'the kernel configuration is not known';
    return { checks: [{ subject: 'kernel', standing: 'unknown', finding }], missing: [] };
  }
  const table = pick<Engine>('engine', engines, engine).kernelOptions;
  const found = missingOptions(table, kernel.options, kernel.version === undefined ? {} : { version: kernel.version });
  const checks: Check[] = [];
  const say = (standing: Check['standing'], finding: string, rest: Partial<Check> = {}) =>
    checks.push({ subject: 'kernel', standing, finding, ...rest });
  if (found.required.length > 0) {
    say('bad', `${engine} needs ${list(found.required)}, which the kernel lacks`, { advice: MEND, mendable: true });
  }
  for (const { feature, missing } of found.features) {
    say('caution', `no ${feature} (${kernelFeatures[feature]}): the kernel lacks ${list(missing)}`, { advice: MEND });
  }
  if (found.recommended.length > 0) say('caution', `the kernel lacks ${list(found.recommended)}`, { advice: MEND });
  if (checks.length === 0) say('good', `has every option that ${engine} uses as it comes`);
  const pickFields = ({ symbol, want, why, source }: KernelOption) => ({ symbol, want, why, source });
  return {
    checks,
    missing: [
      ...found.required.map((option) => ({ ...pickFields(option), need: 'required' as const })),
      ...found.recommended.map((option) => ({ ...pickFields(option), need: 'recommended' as const })),
      ...found.features.flatMap(({ feature, missing }) =>
        missing.map((option) => ({ ...pickFields(option), need: feature })),
      ),
    ],
  };
}

/** Required options that the kernel lacks for an engine; undefined when its configuration is not known. */
export function missingRequired({ kernel }: KnownFacts, engine: string): number | undefined {
  if (!kernel) return undefined;
  const table = pick<Engine>('engine', engines, engine).kernelOptions;
  return missingOptions(table, kernel.options, kernel.version === undefined ? {} : { version: kernel.version }).required
    .length;
}

/** The first few by name, the rest by number. */
function list(options: readonly KernelOption[]): string {
  const shown = options
    .slice(0, 4)
    .map(({ symbol }) => `CONFIG_${symbol}`)
    .join(', ');
  return options.length > 4 ? `${shown} and ${options.length - 4} more` : shown;
}
