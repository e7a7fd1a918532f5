import { UserError, pick, type EngineFacts, type EngineSettings, type VariantEngine } from '@boxship/model';
import { findYoctoRelease, type BuildNeeds, type YoctoRelease } from '@boxship/yocto';
import { containerdBuild } from './containerd/build-needs.ts';
import { dockerBuild } from './docker/build-needs.ts';
import { k3sBuild } from './k3s/build-needs.ts';
import { podmanBuild } from './podman/build-needs.ts';

export interface BuildOptions {
  /** `os/architecture[/variant]` of the machine. */
  readonly platform: string;
  readonly settings: EngineSettings;
  /** Its name, and what else the product file asks of it. */
  readonly engine: VariantEngine;
}

/** What a Yocto build must know of an engine. */
export interface EngineBuild {
  readonly name: string;
  /** Platforms for which OpenEmbedded can build it, `os/architecture[/variant]`, and why no others. */
  readonly platforms: { readonly known: readonly string[]; readonly why: string };
  /** Packages, distro features, configuration of this engine in that release. */
  buildNeeds(release: YoctoRelease, settings: EngineSettings, engine: VariantEngine): BuildNeeds;
  /** The engine as it is found on an image that has all of `needs`. */
  builtEngine(needs: BuildNeeds): EngineFacts;
}

/** Every engine that a layer can be generated for. Read it through `buildNeedsOf`. */
export const engineBuilds = {
  docker: dockerBuild,
  podman: podmanBuild,
  containerd: containerdBuild,
  k3s: k3sBuild,
} satisfies Record<string, EngineBuild>;

/** What an image needs so that the engine runs. Errors: UNKNOWN_ENGINE, ENGINE_NOT_ON_PLATFORM. */
export function buildNeedsOf(release: YoctoRelease, { platform, settings, engine }: BuildOptions): BuildNeeds {
  const build = pick<EngineBuild>('engine', engineBuilds, engine.name);
  if (!build.platforms.known.includes(platform)) {
    throw new UserError(
      'ENGINE_NOT_ON_PLATFORM',
      `${engine.name} cannot be built for ${platform}: ${build.platforms.why}`,
      `It can be for ${build.platforms.known.join(', ')}.`,
    );
  }
  return build.buildNeeds(release, settings, engine);
}

/**
 * The engine of an image that the generated layer makes, before it is built: what `readEngineFacts` would find there. Errors:
 * UNKNOWN_RELEASE and those of `buildNeedsOf`.
 */
export function builtEngineFacts(release: string, options: BuildOptions): EngineFacts {
  const needs = buildNeedsOf(findYoctoRelease(release), options);
  return pick<EngineBuild>('engine', engineBuilds, options.engine.name).builtEngine(needs);
}
