import { makeBuildFolder, type BuildFolder } from './build-folder.ts';
import type { Release } from './checkouts.ts';
import type { GeneratedLayer } from './layers-under-test.ts';
import { restrictedSet, worldConfiguration } from './restricted-set.ts';

/** A generated layer in a build whose local.conf opts in. Of master those recipes are kept that the newest release needs. */
export async function optedIn(release: Release, engine: string, layer: GeneratedLayer): Promise<BuildFolder> {
  const set = await restrictedSet(release === 'master' ? 'wrynose' : release);
  return await makeBuildFolder(release, `opted-in-${engine}`, {
    layers: [layer.metaBoxship, layer.path],
    recipes: set.recipes,
    configuration: [`require ${layer.optInName}`, ...worldConfiguration(set)],
  });
}
