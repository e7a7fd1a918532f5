import { engines, type Engine, type EngineFootprint } from '@boxship/engines';
import { pick } from '@boxship/model';

/** What the engine costs. Errors: UNKNOWN_ENGINE, with the known ones. */
export function footprintOf(engine: string): EngineFootprint {
  return pick<Engine>('engine', engines, engine).footprint;
}

/** Why a Yocto build cannot give the engine to the platform; undefined when it can. */
export function whyNotBuilt(engine: string, platform: string): string | undefined {
  const { known, why } = pick<Engine>('engine', engines, engine).platforms;
  return known.includes(platform) ? undefined : why;
}
