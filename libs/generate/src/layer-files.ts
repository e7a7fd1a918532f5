import { createHash } from 'node:crypto';
import { bitbakeString, bitbakeWords } from '@boxship/yocto';
import { bitbakeSetupFiles } from './bitbake-setup.ts';
import { engineConfigFiles } from './engine-config.ts';
import { imageFiles, type StoreBundles } from './image-files.ts';
import { kasFiles } from './kas-files.ts';
import { kernelFiles } from './kernel-files.ts';
import type { LayerPlan } from './layer-plan.ts';
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
  const { section, release, needs, machines } = plan;
  const { name } = section;
  const license: LayerFile = { path: 'LICENSE', text: renderLayerFile('LICENSE', { product: plan.product }) };
  const shared: SharedValues = {
    name,
    product: plan.product,
    version: plan.version,
    engine: plan.engine,
    homepage: bitbakeString(section.homepage, 'yocto.homepage'),
    bugtracker: bitbakeString(section.bugtracker, 'yocto.bugtracker'),
    machines: `^(${machines.map(({ machine }) => machine.replaceAll('.', '\\.')).join('|')})$`,
    features: plan.features.join(' '),
    licenseMd5: createHash('md5').update(license.text).digest('hex'),
    sourceFolder: `\${${release.unpackVariable}}`,
  };
  const kernel = kernelFiles(plan);
  const engineConfig = engineConfigFiles(plan, shared, license);
  const socket = await socketPackage(plan, shared, license, inputs.key);
  const packages = [
    ...needs.packages,
    ...engineConfig.packages,
    ...socket.packages,
  ].sort();
  const files: LayerFile[] = [
    license,
    {
      path: 'conf/layer.conf',
      text: renderLayerFile('conf/layer.conf', {
        name,
        series: release.layerSeries.join(' '),
        depends: bitbakeWords(['boxship', 'core', ...needs.layers]),
        dynamicLayers: kernel.dynamicLayers,
      }),
    },
    {
      path: `conf/distro/include/${name}.inc`,
      text: renderLayerFile('conf/distro/include/[name].inc', {
        name,
        features: needs.distroFeatures.join(' '),
        containerProfile: needs.containerProfile ?? '',
        variables: Object.entries(needs.distroVariables).map(([variable, value]) => ({
          name: variable,
          value: bitbakeString(value, variable),
        })),
      }),
    },
    {
      path: `recipes-core/packagegroups/packagegroup-${name}-${plan.engine}.bb`,
      text: renderLayerFile('recipes-core/packagegroups/packagegroup-[name]-[engine].bb', {
        ...shared,
        packages: bitbakeWords(packages),
        recommended: needs.recommendedPackages.length > 0 ? bitbakeWords(needs.recommendedPackages) : '',
      }),
    },
    ...engineConfig.files,
    ...socket.files,
    ...kernel.files,
    ...imageFiles(plan, shared, inputs.bundles),
    ...kasFiles(plan, inputs.storesFromOut),
    ...bitbakeSetupFiles(plan),
    { path: 'SECURITY.md', text: renderLayerFile('SECURITY.md', { maintainer: section.maintainer }) },
    { path: 'README.md', text: readme(plan) },
  ];
  if (release.hasConfFragments) {
    files.push({ path: 'conf/fragments/containers.conf', text: renderLayerFile('conf/fragments/containers.conf', shared) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
} // prettier-ignore

function readme(plan: LayerPlan): string {
  const { section, release } = plan;
  const layers = new Map(plan.machines.flatMap((machine) => machine.layers).map((layer) => [layer.collection, layer]));
  const licences = new Map(plan.machines.flatMap((machine) => machine.licences).map((one) => [one.variable, one]));
  return renderLayerFile('README.md', {
    name: section.name,
    summary: section.summary,
    release: `Yocto ${release.version} (${release.name})`,
    engine: plan.engine,
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
