import { createHash } from 'node:crypto';
import { bitbakeString, bitbakeWords, type BuildNeeds } from '@boxship/yocto';
import { bitbakeSetupFiles } from './bitbake-setup.ts';
import { engineConfigFiles } from './engine-config.ts';
import { imageFiles, type StoreBundles } from './image-files.ts';
import { kasFiles } from './kas-files.ts';
import { kernelFiles } from './kernel-files.ts';
import { engineNames, type LayerPlan, type PlannedEngine } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';
import { socketPackage, type SocketKey } from './socket-package.ts';

/** One file of the layer: path below `meta-<name>/`, and its text. */
export interface LayerFile {
  readonly path: string;
  readonly text: string;
}

export interface LayerInputs {
  readonly key: SocketKey;
  /** What `boxship store` wrote, by `<machine>/<variant>`; needed when the product file has bundles in the build. */
  readonly bundles?: StoreBundles;
  /** Path from the folder that both layers lie in to the one of all stores. */
  readonly storesFromOut?: string;
}

/** Values that many recipes share. */
export interface SharedValues {
  readonly name: string;
  readonly product: string;
  readonly version: string;
  readonly engine: string;
  readonly homepage: string;
  readonly bugtracker: string;
  /** Alternatives of COMPATIBLE_MACHINE. */
  readonly machines: string;
  readonly features: string;
  readonly licenseMd5: string;
  /** S of a recipe that has nothing but `file://`. */
  readonly sourceFolder: string;
}

/**
 * Every file of `meta-<name>`, sorted by path; equal plans and inputs give equal bytes. Errors: BAD_BITBAKE_TEXT, NO_BUNDLE.
 */
export async function layerFiles(plan: LayerPlan, inputs: LayerInputs): Promise<readonly LayerFile[]> {
  const { section, release, engines, machines } = plan;
  const { name } = section;
  const license: LayerFile = { path: 'LICENSE', text: renderLayerFile('LICENSE', { product: plan.product }) };
  const shared = (engine: string, features: readonly string[]): SharedValues => ({
    name,
    product: plan.product,
    version: plan.version,
    engine,
    homepage: bitbakeString(section.homepage, 'yocto.homepage'),
    bugtracker: bitbakeString(section.bugtracker, 'yocto.bugtracker'),
    machines: `^(${machines.map(({ machine }) => machine.replaceAll('.', '\\.')).join('|')})$`,
    features: features.join(' '),
    licenseMd5: createHash('md5').update(license.text).digest('hex'),
    sourceFolder: `\${${release.unpackVariable}}`,
  });
  const valuesOf = ({ name: engine, features }: PlannedEngine) => shared(engine, features);
  const kernel = kernelFiles(plan);
  const ofEngines: LayerFile[] = [];
  for (const engine of engines) {
    const values = valuesOf(engine);
    const { needs } = engine;
    const configuration = engineConfigFiles(plan, engine, values, license);
    const socket = await socketPackage(plan, engine, values, license, inputs.key);
    ofEngines.push(...configuration.files, ...socket.files, {
      path: `recipes-core/packagegroups/packagegroup-${name}-${engine.name}.bb`,
      text: renderLayerFile('recipes-core/packagegroups/packagegroup-[name]-[engine].bb', {
        ...values,
        packages: bitbakeWords([...needs.packages, ...configuration.packages, ...socket.packages].sort()),
        recommended: needs.recommendedPackages.length > 0 ? bitbakeWords(needs.recommendedPackages) : '',
      }),
    });
  }
  const all = <T>(list: (needs: BuildNeeds) => readonly T[]): T[] => [...new Set(engines.flatMap(({ needs }) => list(needs)))];
  const profiles = all(({ containerProfile }) => (containerProfile ? [containerProfile] : []));
  const files: LayerFile[] = [
    license,
    {
      path: 'conf/layer.conf',
      text: renderLayerFile('conf/layer.conf', {
        name,
        series: release.layerSeries.join(' '),
        depends: bitbakeWords(['boxship', 'core', ...all(({ layers }) => layers)]),
        dynamicLayers: kernel.dynamicLayers,
      }),
    },
    {
      path: `conf/distro/include/${name}.inc`,
      text: renderLayerFile('conf/distro/include/[name].inc', {
        name,
        features: all(({ distroFeatures }) => distroFeatures).sort().join(' '),
        // meta-virtualization's own default serves several
        containerProfile: profiles.length === 1 ? profiles[0] : '',
        variables: distroVariables(engines),
      }),
    },
    ...ofEngines,
    ...kernel.files,
    ...imageFiles(plan, valuesOf, inputs.bundles),
    ...kasFiles(plan, inputs.storesFromOut),
    ...bitbakeSetupFiles(plan),
    { path: 'SECURITY.md', text: renderLayerFile('SECURITY.md', { maintainer: section.maintainer }) },
    { path: 'README.md', text: readme(plan) },
  ];
  if (release.hasConfFragments) {
    files.push({ path: 'conf/fragments/containers.conf', text: renderLayerFile('conf/fragments/containers.conf', shared(engineNames(plan), [])) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
} // prettier-ignore

/** Assignments of the distro. Two engines that want different values would need a distro each; there are no such ones. */
function distroVariables(
  engines: readonly PlannedEngine[],
): readonly { readonly name: string; readonly value: string }[] {
  const wanted = new Map<string, string>();
  for (const { name, needs } of engines) {
    for (const [variable, value] of Object.entries(needs.distroVariables)) {
      const text = bitbakeString(value, variable);
      if ((wanted.get(variable) ?? text) !== text)
        throw new Error(`${name} and another engine want different values of ${variable}`);
      wanted.set(variable, text);
    }
  }
  return [...wanted].map(([name, value]) => ({ name, value }));
}

function readme(plan: LayerPlan): string {
  const { section, release } = plan;
  const layers = new Map(plan.machines.flatMap((machine) => machine.layers).map((layer) => [layer.collection, layer]));
  const licences = new Map(plan.machines.flatMap((machine) => machine.licences).map((one) => [one.variable, one]));
  return renderLayerFile('README.md', {
    name: section.name,
    summary: section.summary,
    release: `Yocto ${release.version} (${release.name})`,
    engine: engineNames(plan),
    fragment: release.hasConfFragments ? `${section.name}/containers` : '',
    builds: plan.variants.flatMap((variant) =>
      variant.machines.map(({ name, description }) => ({
        file: `${name}-${variant.name}.yml`,
        image: `${section.name}-image-${variant.recipePart}`,
        machine: description,
      })),
    ),
    setup: release.hasBitbakeSetup,
    licences: [...licences.values()],
    layers: [...layers.values()],
    maintainer: section.maintainer,
    bugtracker: section.bugtracker,
  });
}
