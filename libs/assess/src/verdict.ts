import { engines } from '@boxship/engines';
import { formatByteSize } from '@boxship/model';
import type { Check, EngineComparison, MemoryBudget, Subject, Verdict } from './assessment.ts';
import { memoryBudget } from './check-memory.ts';
import { missingRequired } from './check-kernel.ts';
import { figures } from './figures.ts';
import { footprintOf, whyNotBuilt } from './footprint-of.ts';
import type { KnownFacts } from './known-facts.ts';

/** Every engine on this machine with these apps, the one with the most RAM left first. */
export function compareEngines(known: KnownFacts): readonly EngineComparison[] {
  const ram = known.ram[0];
  return Object.values(engines)
    .map(({ name, footprint: { strength } }): EngineComparison => {
      const budget = ram === undefined ? undefined : memoryBudget(known, name, ram);
      const missing = missingRequired(known, name);
      return {
        name,
        ...(budget ? { memory: budget.engine + budget.containers, free: budget.free } : {}),
        ...(missing === undefined ? {} : { missingRequired: missing }),
        fits: whyNotBuilt(name, known.platform) === undefined && (budget === undefined || budget.free >= 0),
        strength,
      };
    })
    .sort((a, b) => (b.free ?? 0) - (a.free ?? 0) || (a.name < b.name ? -1 : 1));
}

/** Containers on the device or not, in which shape, with which engine, and why. */
export function judge(
  known: KnownFacts,
  checks: readonly Check[],
  engines: readonly EngineComparison[],
  memory: MemoryBudget | undefined,
): Verdict {
  const bad = checks.filter(({ standing }) => standing === 'bad');
  const ofHardware = bad.filter(({ mendable }) => !mendable);
  const fitting = engines.filter(({ fits }) => fits);
  const own = engines.find(({ name }) => name === known.engine);
  const engine = own?.fits === false && fitting.length > 0 ? fitting[0] : own;
  const isOnly = (...subjects: readonly Subject[]) =>
    ofHardware.length > 0 && ofHardware.every(({ subject }) => subjects.includes(subject));
  const mend: Verdict['mend'] =
    bad.length > 0 && ofHardware.length === 0
      ? 'base'
      : isOnly('memory', 'processor') && engine !== own && !isWithoutMmu(known)
        ? 'engine'
        : undefined;
  const nativeFits = memory !== undefined && memory.free + memory.engine + memory.containers >= 0;
  const target =
    bad.length === 0
      ? 'on-target'
      : mend === undefined && isOnly('memory', 'flash') && nativeFits
        ? 'development-only'
        : 'not-here';

  const reasons = bad.map(({ finding }) => `${capital(finding)}.`);
  if (mend === 'base') reasons.push('A build of the base image can mend that; the hardware is no obstacle.');
  if (target === 'development-only') {
    reasons.push('The apps without an engine would fit: build and test them in containers, and ship them natively.');
  }
  if (target === 'on-target') {
    const open = checks.filter(({ standing }) => standing === 'unknown').map(({ subject }) => subject);
    reasons.push(
      open.length === 0
        ? 'Processor, kernel, memory and flash are enough.'
        : `Nothing that is known speaks against it; not known: ${[...new Set(open)].join(', ')}.`,
    );
  }
  const headless = isHeadless(known, memory);
  const { shape, why } = shapeOf(known, memory);
  if (target !== 'not-here') reasons.push(...(headless === undefined ? [] : [headless]), why);
  if (target === 'on-target' || mend !== undefined) reasons.push(engineReason(known, engine, own, fitting));
  return {
    target,
    ...(mend ? { mend } : {}),
    headless: headless !== undefined,
    shape,
    engine: engine?.name ?? known.engine,
    reasons,
  };
}

function isWithoutMmu({ recipe, kernel }: KnownFacts): boolean {
  return kernel ? kernel.options['MMU'] !== 'y' : recipe?.hardware?.mmu === false;
}

/** Why there should be no container with a user interface; undefined when there may be. */
function isHeadless({ recipe }: KnownFacts, memory: MemoryBudget | undefined): string | undefined {
  if (recipe?.devices && recipe.devices.drm.length === 0) return 'Headless: the machine has no display.';
  if (memory && memory.free < figures.displayRam.value) {
    return `Headless: a container with a user interface wants ${formatByteSize(figures.displayRam.value)} of free RAM, ${formatByteSize(Math.max(memory.free, 0))} are left.`;
  }
  return undefined;
}

function shapeOf({ services, engine }: KnownFacts, memory: MemoryBudget | undefined): { readonly shape: Verdict['shape']; readonly why: string } {
  const count = services.length;
  const { perContainer, startContainer } = footprintOf(engine);
  const cost = count * perContainer;
  if (count <= 1) return { shape: 'monolithic', why: 'Monolithic: it is one container.' };
  if (memory && (cost > memory.total * figures.containerCost.value || memory.free < memory.wanted)) {
    return {
      shape: 'monolithic',
      why: `Monolithic: ${count} containers cost ${formatByteSize(cost)} of RAM beside the apps, and up to ${count * startContainer[1]} s of boot; join those that are updated together.`,
    };
  }
  return { shape: 'microservices', why: `Microservices: ${count} containers cost ${formatByteSize(cost)} of RAM beside the apps${memory ? '' : ', if there is enough of it'}.` };
} // prettier-ignore

function engineReason(
  known: KnownFacts,
  engine: EngineComparison | undefined,
  own: EngineComparison | undefined,
  fitting: readonly EngineComparison[],
): string {
  if (!engine || fitting.length === 0) return `No engine fits; ${known.engine} is what the product file says.`;
  const left = engine.free === undefined ? '' : ` leaves ${formatByteSize(engine.free)} of RAM:`;
  if (engine !== own) return `${engine.name} instead of ${known.engine}:${left} ${engine.strength}.`;
  const best = fitting[0]!;
  const other =
    best.name !== engine.name && best.free !== undefined && engine.free !== undefined
      ? ` ${best.name} would leave ${formatByteSize(best.free)}.`
      : '';
  return `${engine.name}, as the product file says,${left} ${engine.strength}.${other}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
