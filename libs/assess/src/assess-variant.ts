import type { Machine, Product } from '@boxship/catalog';
import { formatByteSize } from '@boxship/model';
import type { Assessment } from './assessment.ts';
import { bootEstimate, checkBoot } from './boot-estimate.ts';
import { checkFlash } from './check-flash.ts';
import { checkKernel } from './check-kernel.ts';
import { checkMemory } from './check-memory.ts';
import { checkProcessor } from './check-processor.ts';
import { checkSystem } from './check-system.ts';
import { endurance, figures, type Figure } from './figures.ts';
import { footprintOf } from './footprint-of.ts';
import type { KnownFacts } from './known-facts.ts';
import { compareEngines, judge } from './verdict.ts';

/** Judges one variant on one machine from what is known. Equal facts give an equal answer. */
export function assessVariant(
  product: Pick<Product, 'name' | 'version'>,
  variant: string,
  machine: Pick<Machine, 'name' | 'platform' | 'recipe'>,
  known: KnownFacts,
  unknown: readonly string[] = [],
): Assessment {
  const kernel = checkKernel(known);
  const { checks: memoryChecks, memory } = checkMemory(known);
  const { checks: flashChecks, flash } = checkFlash(known);
  const boot = bootEstimate(known);
  const checks = [
    ...checkProcessor(known),
    ...kernel.checks,
    ...checkSystem(known),
    ...memoryChecks,
    ...flashChecks,
    checkBoot(boot),
  ];
  const engines = compareEngines(known);
  return {
    product: product.name,
    version: product.version,
    variant,
    machine: {
      name: machine.name,
      platform: machine.platform,
      ...(machine.recipe === undefined ? {} : { recipe: machine.recipe }),
      ...(known.recipe ? { description: known.recipe.description } : {}),
    },
    engine: known.engine,
    services: known.services.length,
    verdict: judge(known, checks, engines, memory),
    checks,
    ...(known.kernel
      ? {
          kernel: {
            from: known.kernel.from,
            ...(known.kernel.version === undefined ? {} : { version: known.kernel.version }),
            missing: kernel.missing,
          },
        }
      : {}),
    ...(memory ? { memory } : {}),
    flash,
    boot,
    engines,
    unknown: [
      ...unknown,
      ...(known.kernel
        ? []
        : ['The kernel configuration is not known: give --kernel-config, or a base image that has it.']),
      ...(known.ram.length === 0 ? ['The size of the RAM is not known: give --ram.'] : []),
      ...(known.storage ? [] : ['The size of the flash is not known: give --flash.']),
    ],
    assumptions: assumptionsOf(known),
  };
}

/** The figures that were used, in the order of the checks. */
function assumptionsOf({ engine, services, ram, storage, bundle }: KnownFacts): Assessment['assumptions'] {
  const used: Figure[] = [];
  if (ram.length > 0) used.push(figures.systemRam, figures.kernelShare, figures.freeRam, figures.displayRam);
  if (services.some(({ settings }) => (settings.memLimit ?? settings.memReservation) === undefined)) {
    used.push(figures.containerRam);
  }
  if (services.length > 1) used.push(figures.containerCost);
  if (bundle) used.push(figures.storeOverhead);
  if (bundle?.exact === false) used.push(figures.layerExpansion);
  const cycles = storage?.kind === undefined ? undefined : endurance[storage.kind];
  if (cycles) used.push(cycles, figures.writeAmplification, figures.life, figures.wornByWrites);
  return [
    ...used.map((figure) => ({ what: figure.what, value: formatFigure(figure), source: figure.source })),
    ...footprintOf(engine).sources.map((source) => ({ what: `cost of ${engine}`, value: '', source })),
  ];
}

function formatFigure({ value, unit }: Figure): string {
  switch (unit) {
    case 'bytes':
      return formatByteSize(value);
    case 'share':
      return `${Math.round(value * 100)} %`;
    case 'factor':
      return `${value} times`;
    default:
      return `${value} ${unit}`;
  }
}
