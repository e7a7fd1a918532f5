import { UserError, pick, type EngineFacts, type EngineSettings, type VariantEngine } from '@boxship/model';
import { findYoctoRelease, type BuildNeeds, type YoctoRelease } from '@boxship/yocto';
import type { Engine } from './engine.ts';
import { engines } from './registry.ts';

export interface BuildOptions {
  /** `os/architecture[/variant]` of the machine. */
  readonly platform: string;
  readonly settings: EngineSettings;
  /** Its name, and what else the product file asks of it. */
  readonly engine: VariantEngine;
}

/** What an image needs so that the engine runs. Errors: UNKNOWN_ENGINE, ENGINE_NOT_ON_PLATFORM. */
export function buildNeedsOf(release: YoctoRelease, { platform, settings, engine }: BuildOptions): BuildNeeds {
  const { platforms, buildNeeds } = pick<Engine>('engine', engines, engine.name);
  if (!platforms.known.includes(platform)) {
    throw new UserError(
      'ENGINE_NOT_ON_PLATFORM',
      `${engine.name} cannot be built for ${platform}: ${platforms.why}`,
      `It can be for ${platforms.known.join(', ')}.`,
    );
  }
  return buildNeeds(release, settings, engine);
}

/**
 * The engine of an image that the generated layer makes, before it is built: what `readEngineFacts` would find there. Errors:
 * UNKNOWN_RELEASE and those of `buildNeedsOf`.
 */
export function builtEngineFacts(release: string, options: BuildOptions): EngineFacts {
  const needs = buildNeedsOf(findYoctoRelease(release), options);
  return pick<Engine>('engine', engines, options.engine.name).builtEngine(needs);
}
