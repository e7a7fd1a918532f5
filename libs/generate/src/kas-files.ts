import { stringify } from 'yaml';
import { bitbakeRepository } from '@boxship/yocto';
import type { LayerFile } from './layer-files.ts';
import type { LayerPlan, PlannedMachine, PlannedVariant } from './layer-plan.ts';
import type { ResolvedLayer } from './resolved-layers.ts';

/** Format of the files: 14 has `commit`, `branch` and `overrides`; kas 4.0 and later read it. */
const VERSION = 14;

/** A kas file for each variant of each machine, and its lock where commits are pinned. */
export function kasFiles(plan: LayerPlan, storesFromOut?: string): readonly LayerFile[] {
  return plan.variants.flatMap((variant) =>
    variant.machines.flatMap((machine) => {
      const name = `kas/${machine.name}-${variant.name}`;
      const locked = kasLock(machine);
      return [
        { path: `${name}.yml`, text: yamlText(kasDocument(plan, machine, variant, storesFromOut)) },
        ...(locked ? [{ path: `${name}.lock.yml`, text: yamlText(locked) }] : []),
      ];
    }),
  );
}

function kasDocument(
  plan: LayerPlan,
  machine: PlannedMachine,
  variant: PlannedVariant,
  storesFromOut: string | undefined,
): object {
  const { section } = plan;
  return {
    header: { version: VERSION },
    machine: machine.machine,
    distro: section.distro,
    target: `${section.name}-image-${variant.recipePart}`,
    repos: {
      // below KAS_WORK_DIR, the folder that kas is run in
      [section.name]: { path: '.', layers: { [`meta-${section.name}`]: null, 'meta-boxship': null } },
      bitbake: { url: bitbakeRepository, branch: plan.release.bitbakeBranch, layers: { bitbake: 'disabled' } },
      ...Object.fromEntries(repositoriesOf(machine.layers).map(([folder, layers]) => [folder, kasRepository(layers)])),
    },
    local_conf_header: {
      [section.name]: [
        `require conf/distro/include/${section.name}.inc\n`,
        // TOPDIR is build/ in the folder that kas is run in
        storesFromOut === undefined ? '' : `BOXSHIP_BUNDLE_DIR = "\${TOPDIR}/../${storesFromOut}"\n`,
      ].join(''),
    },
  };
}

function kasRepository(layers: readonly ResolvedLayer[]): object {
  const { repository, branch } = layers[0]!;
  const isRoot = layers.length === 1 && layers[0]!.path === '.';
  return {
    url: repository,
    branch,
    ...(isRoot ? {} : { layers: Object.fromEntries(layers.map(({ path }) => [path, null])) }),
  };
}

function kasLock({ layers, bitbakeCommit }: PlannedMachine): object | undefined {
  const commits = repositoriesOf(layers).flatMap(([folder, [first]]) => (first!.commit ? [[folder, first!.commit] as const] : []));
  if (bitbakeCommit) commits.unshift(['bitbake', bitbakeCommit]);
  if (commits.length === 0) return undefined;
  return {
    header: { version: VERSION },
    overrides: { repos: Object.fromEntries(commits.map(([folder, commit]) => [folder, { commit }])) },
  };
} // prettier-ignore

/** The layers by the folder of their repository, in the order in which they come. */
export function repositoriesOf(layers: readonly ResolvedLayer[]): readonly (readonly [string, readonly ResolvedLayer[]])[] {
  const repositories = new Map<string, ResolvedLayer[]>();
  for (const layer of layers) repositories.set(layer.folder, [...(repositories.get(layer.folder) ?? []), layer]);
  return [...repositories];
} // prettier-ignore

function yamlText(document: object): string {
  return stringify(document, { nullStr: '', lineWidth: 0 });
}
