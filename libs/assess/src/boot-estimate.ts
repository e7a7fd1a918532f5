import type { BootEstimate, Check } from './assessment.ts';
import { footprintOf } from './footprint-of.ts';
import type { KnownFacts } from './known-facts.ts';

/** What the engine and the containers add to the time from power-on to the app: containers start one after the other. */
export function bootEstimate({ engine, services }: KnownFacts): BootEstimate {
  const { start, startContainer } = footprintOf(engine);
  return { engine: start, containers: [startContainer[0] * services.length, startContainer[1] * services.length] };
}

export function checkBoot({ engine, containers }: BootEstimate): Check {
  const [fast, slow] = [engine[0] + containers[0], engine[1] + containers[1]];
  const finding = `engine and containers add ${seconds(fast)} to ${seconds(slow)} to the boot, on a fast and on a slow device`;
  return { subject: 'boot', standing: 'good', finding };
}

function seconds(value: number): string {
  return `${Number.isInteger(value) ? value : value.toFixed(1)} s`;
}
