import { dirname } from 'node:path';
import { UserError, type Problem } from '@boxship/model';
import { bitbakeRepository } from '@boxship/yocto';
import { pinKey, type LayerPins } from './layer-pins.ts';
import type { LayerPlan } from './layer-plan.ts';

/** A branch of a repository that a layer's build fetches. */
export interface Upstream {
  readonly repository: string;
  readonly branch: string;
  /** The commit that it is pinned to. */
  readonly pinned?: string;
}

/** Every branch that the builds of a layer fetch, each once: bitbake, openembedded-core, then the others. */
export function upstreamsOf(plan: LayerPlan): readonly Upstream[] {
  const found = new Map<string, Upstream>();
  const add = (repository: string, branch: string, pinned: string | undefined) =>
    found.set(pinKey(repository, branch), { repository, branch, ...(pinned ? { pinned } : {}) });
  for (const { layers, bitbakeCommit } of plan.machines) {
    add(bitbakeRepository, plan.release.bitbakeBranch, bitbakeCommit);
    for (const { repository, branch, commit } of layers) add(repository, branch, commit);
  }
  return [...found.values()];
}

/** Seconds without a word from git after which a repository counts as unreachable. */
const PATIENCE = 60;
const AT_ONCE = 8;

/**
 * The commit that each branch points to now. Only refs are asked for, nothing is fetched. Errors, all at once:
 * LAYER_UNREACHABLE with git's own words, NO_SUCH_BRANCH.
 */
export async function resolveUpstreams(
  productFile: string,
  upstreams: readonly Upstream[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<Upstream, string>> {
  const { simpleGit } = await import('simple-git');
  const git = simpleGit({
    baseDir: dirname(productFile), // a path in the product file is relative to it
    maxConcurrentProcesses: AT_ONCE,
    timeout: { block: PATIENCE * 1000 },
    ...(signal ? { abort: signal } : {}),
  });
  const problems: Problem[] = [];
  const commits = new Map<Upstream, string>();
  await Promise.all(
    upstreams.map(async (upstream) => {
      const { repository, branch } = upstream;
      try {
        const text = await git.listRemote(['--', repository, `refs/heads/${branch}`]);
        const commit = /^([0-9a-f]{40})\t/.exec(text)?.[1];
        if (commit) commits.set(upstream, commit);
        else {
          problems.push({
            code: 'NO_SUCH_BRANCH',
            message: `${repository} has no branch "${branch}"`,
            hint: 'Name another one under yocto.layers.',
          });
        }
      } catch (error) {
        signal?.throwIfAborted();
        const said = (error as Error).message.trim().split('\n').find((line) => /fatal|error/.test(line)) ?? (error as Error).message;
        problems.push({
          code: 'LAYER_UNREACHABLE',
          message: `${repository} cannot be asked for its branches: ${said.trim()}`,
          hint: 'Look at the address, the network and your access; yocto.layers can name a mirror.',
        });
      }
    }),
  ); // prettier-ignore
  if (problems.length > 0) throw new UserError(problems.sort((a, b) => (a.message < b.message ? -1 : 1)));
  return commits;
}

/** `pins` with the commits of one release in the place of what was there for it. */
export function pinned(pins: LayerPins, release: string, commits: ReadonlyMap<Upstream, string>): LayerPins {
  const entries = [...commits].map(([{ repository, branch }, commit]) => [pinKey(repository, branch), commit] as const);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...pins, [release]: Object.fromEntries(entries) };
}
