import { formatByteSize } from '@boxship/model';
import type { Check, MemoryBudget } from './assessment.ts';
import { figures } from './figures.ts';
import { footprintOf } from './footprint-of.ts';
import type { KnownFacts } from './known-facts.ts';

/** RAM against system, engine and apps, on a machine with `total` bytes. */
export function memoryBudget({ services }: KnownFacts, engine: string, total: number): MemoryBudget {
  const { idle, perContainer } = footprintOf(engine);
  const limits = services.map(({ settings }) => settings.memLimit ?? settings.memReservation);
  const given = limits.reduce<number>((sum, limit) => sum + (limit ?? 0), 0);
  const assumed = limits.filter((limit) => limit === undefined).length * figures.containerRam.value;
  const kernel = Math.round(total * figures.kernelShare.value);
  const parts = { kernel, system: figures.systemRam.value, engine: idle, containers: services.length * perContainer };
  const apps = given + assumed;
  const used = parts.kernel + parts.system + parts.engine + parts.containers + apps;
  return { total, ...parts, apps, assumed, free: total - used, wanted: Math.round(total * figures.freeRam.value) };
}

export function checkMemory(known: KnownFacts): { readonly checks: readonly Check[]; readonly memory?: MemoryBudget } {
  const [smallest, ...larger] = known.ram;
  if (smallest === undefined) return { checks: [{ subject: 'memory', standing: 'unknown', finding: 'the size of the RAM is not known' }] };
  const memory = memoryBudget(known, known.engine, smallest);
  const { free, wanted, total } = memory;
  const checks: Check[] = [];
  const enough = larger.find((ram) => {
    const budget = memoryBudget(known, known.engine, ram);
    return budget.free >= budget.wanted;
  });
  const advice = enough === undefined ? 'Fewer or smaller apps, or an engine that costs less.' : `The model with ${formatByteSize(enough)} has enough.`; // prettier-ignore
  if (free < 0) {
    const finding = `${formatByteSize(total)} of RAM are ${formatByteSize(-free)} too few for system, ${known.engine} and apps`;
    checks.push({ subject: 'memory', standing: 'bad', finding, advice });
  } else if (free < wanted) {
    const finding = `of ${formatByteSize(total)} of RAM ${formatByteSize(free)} are left, ${formatByteSize(wanted)} are wanted for peaks and the page cache`;
    checks.push({ subject: 'memory', standing: 'caution', finding, advice });
  } else {
    checks.push({ subject: 'memory', standing: 'good', finding: `of ${formatByteSize(total)} of RAM ${formatByteSize(free)} are left` }); // prettier-ignore
  }
  const unlimited = known.services.filter(({ settings }) => (settings.memLimit ?? settings.memReservation) === undefined);
  if (unlimited.length > 0) {
    const names = unlimited.map(({ name }) => name);
    const shown = [...new Set(names)].slice(0, 5).join(', ');
    const finding = `${unlimited.length === 1 ? 'a service has' : `${unlimited.length} services have`} no memory limit (${shown}${names.length > 5 ? ', …' : ''}): one that leaks takes the device down`;
    checks.push({ subject: 'memory', standing: 'caution', finding, advice: 'Set mem_limit in the Compose file.' });
  }
  return { checks, memory };
} // prettier-ignore
