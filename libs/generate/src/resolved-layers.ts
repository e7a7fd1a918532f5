import type { RecipeLayer, YoctoSection } from '@boxship/catalog';
import { UserError, type Problem } from '@boxship/model';
import { distroLayers, virtualizationDepends, yoctoLayers, type YoctoLayer, type YoctoRelease } from '@boxship/yocto';
import { pinOf, type LayerPins } from './layer-pins.ts';

/** A layer of somebody else at one branch, and at one commit where it is pinned. */
export interface ResolvedLayer {
  readonly collection: string;
  /** Folder that the repository is cloned to. */
  readonly folder: string;
  readonly repository: string;
  readonly branch: string;
  readonly commit?: string;
  /** Folder of the layer in the repository; `.` for its root. */
  readonly path: string;
}

/**
 * The layers of a build, each once: openembedded-core, what the engine needs, those of the distro and of the machine, those of
 * the product file. Errors: LAYER_WITHOUT_REPOSITORY, LAYER_WITHOUT_BRANCH, SAME_FOLDER.
 */
export function resolveLayers(
  section: YoctoSection,
  release: YoctoRelease,
  engineLayers: readonly string[],
  machineLayers: readonly RecipeLayer[],
  pins: LayerPins | undefined,
): readonly ResolvedLayer[] {
  const known = new Map<string, YoctoLayer>(Object.entries(yoctoLayers));
  for (const layer of machineLayers) {
    known.set(layer.collection, { ...layer, path: layer.path ?? '.', branches: { ...layer.branches } });
  }
  const wanted = new Set<string>([
    'core',
    ...[...virtualizationDepends].sort(
      (a, b) => Number(b === 'openembedded-layer') - Number(a === 'openembedded-layer'),
    ),
    ...engineLayers,
    ...(Object.hasOwn(distroLayers, section.distro) ? distroLayers[section.distro]! : []),
    ...machineLayers.map(({ collection }) => collection),
    ...Object.keys(section.layers),
  ]);
  const problems: Problem[] = [];
  const layers = [...wanted].flatMap((collection): ResolvedLayer[] => {
    const given = section.layers[collection];
    const base = known.get(collection);
    const repository = given?.repository ?? base?.repository;
    const branch = given?.branch ?? (base ? base.branches[release.name] : release.branch);
    const where = given ? { where: given.where } : {};
    if (repository === undefined) {
      problems.push({
        code: 'LAYER_WITHOUT_REPOSITORY',
        message: `the layer with the collection "${collection}" is not known, and the product file names no repository`,
        hint: `Write: yocto: { layers: { ${collection}: { repository: https://…, branch: ${release.branch} } } }`,
        ...where,
      });
      return [];
    }
    if (branch === undefined) {
      problems.push({
        code: 'LAYER_WITHOUT_BRANCH',
        message: `the layer with the collection "${collection}" has no branch for ${release.name}`,
        hint: 'Name one under yocto.layers.',
        ...where,
      });
      return [];
    }
    const commit = given?.commit ?? pinOf(pins, release.name, repository, branch);
    const path = given?.path ?? base?.path ?? '.';
    const folder = repositoryFolder(repository);
    return [{ collection, folder, repository, branch, ...(commit ? { commit } : {}), path }];
  });
  const folders = new Map<string, ResolvedLayer>();
  const taken = [`meta-${section.name}`, 'meta-boxship', 'bitbake', 'build'];
  for (const layer of layers) {
    if (taken.includes(layer.folder)) {
      problems.push({
        code: 'SAME_FOLDER',
        message: `the repository ${layer.repository} would be cloned to ${layer.folder}, which is ours`,
        hint: 'Give the generated layer another name: yocto.name.',
      });
    }
    const other = folders.get(layer.folder);
    if (
      other &&
      (other.repository !== layer.repository || other.branch !== layer.branch || other.commit !== layer.commit)
    ) {
      problems.push({
        code: 'SAME_FOLDER',
        message: `the layers ${other.collection} and ${layer.collection} would be two states of the folder ${layer.folder}`,
        hint: `${other.repository} at ${other.commit ?? other.branch}, and ${layer.repository} at ${layer.commit ?? layer.branch}: give both the same.`,
      });
    }
    folders.set(layer.folder, layer);
  }
  if (problems.length > 0) throw new UserError(problems);
  return layers;
}

/** Where `git clone` would put it. */
export function repositoryFolder(repository: string): string {
  return repository.replace(/\/+$/, '').replace(/\.git$/, '').replace(/^.*[/:]/, '');
} // prettier-ignore
