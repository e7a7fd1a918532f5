import { engines, wantedOptions, type Engine } from '@boxship/engines';
import { pick } from '@boxship/model';
import type { LayerFile } from './layer-files.ts';
import type { LayerPlan, PlannedMachine } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';

type Kernel = PlannedMachine['kernel'];

/** How a kernel takes options, by `yocto.kernel.<release>.fragments` of a recipe. */
const appends: Readonly<Record<Kernel['fragments'], (plan: LayerPlan, kernel: Kernel) => readonly LayerFile[]>> = {
  'kernel-yocto': featureFiles,
  'src-uri': (plan, kernel) => fragmentFiles(plan, kernel),
  // meta-freescale recipes-kernel/linux/linux-qoriq.inc do_merge_delta_config: also takes an absolute path
  'delta-defconfig': (plan, kernel) => fragmentFiles(plan, kernel, 'DELTA_KERNEL_DEFCONFIG'),
  // meta-ti meta-ti-bsp/recipes-kernel/linux/setup-defconfig.inc do_configure: absolute paths
  'merge-config': (plan, kernel) => fragmentFiles(plan, kernel, 'KERNEL_CONFIG_FRAGMENTS'),
};

/**
 * The options of the engines for every kernel of the machines: as a feature for linux-yocto, as a fragment for the kernels of
 * vendors, whose appends lie below `dynamic-layers/<collection>/`. Every append waits for the layer's override.
 */
export function kernelFiles(plan: LayerPlan): { readonly files: readonly LayerFile[]; readonly dynamicLayers: readonly string[] } {
  const kernels = new Map<string, PlannedMachine>();
  for (const machine of plan.machines) kernels.set(`${machine.kernel.collection}/${machine.kernel.recipe}`, machine);
  const files = [...kernels.values()].flatMap(({ kernel }) => appends[kernel.fragments](plan, kernel));
  const dynamicLayers = [...new Set([...kernels.values()].map(({ kernel }) => kernel.collection))]
    .filter((collection) => collection !== 'core')
    .sort();
  return { files, dynamicLayers };
} // prettier-ignore

function featureFiles(plan: LayerPlan, kernel: Kernel): readonly LayerFile[] {
  const { name } = plan.section;
  const folder = kernelFolder(kernel);
  const kmeta = `${folder}/${name}-kmeta`;
  return [
    {
      path: `${folder}/${kernel.recipe}_%.bbappend`,
      text: renderLayerFile('recipes-kernel/linux/linux-yocto_%.bbappend', { name, engines: plan.engines }),
    },
    ...plan.engines.flatMap(({ name: engine }) => [
      {
        path: `${kmeta}/${name}-${engine}.scc`,
        text: renderLayerFile('recipes-kernel/linux/[name]-kmeta/[name]-[engine].scc', {
          name,
          engine,
          product: plan.product,
        }),
      },
      { path: `${kmeta}/${name}-${engine}.cfg`, text: kernelConfig(engine, kernel) },
    ]),
  ];
}

/** `variable`: what names the fragment to a kernel that does not look for `.cfg` files in SRC_URI by itself. */
function fragmentFiles(plan: LayerPlan, kernel: Kernel, variable = ''): readonly LayerFile[] {
  const { name } = plan.section;
  const folder = kernelFolder(kernel);
  return [
    {
      path: `${folder}/${kernel.recipe}_%.bbappend`,
      text: renderLayerFile('dynamic-layers/[collection]/recipes-kernel/linux/[kernel]_%.bbappend', {
        name,
        engines: plan.engines,
        variable,
        unpackFolder: `\${${plan.release.unpackVariable}}`,
      }),
    },
    ...plan.engines.map(({ name: engine }) => ({
      path: `${folder}/files/${name}-${engine}.cfg`,
      text: kernelConfig(engine, kernel),
    })),
  ];
}

function kernelFolder({ collection }: Kernel): string {
  return collection === 'core' ? 'recipes-kernel/linux' : `dynamic-layers/${collection}/recipes-kernel/linux`;
}

/** A configuration fragment: each option with what it is for, grouped by where that is said. */
function kernelConfig(engine: string, { recipe, version }: Kernel): string {
  const table = pick<Engine>('engine', engines, engine).kernelOptions;
  const groups = new Map<string, object[]>();
  for (const { symbol, want, why, source } of wantedOptions(table, { version })) {
    groups.set(source, [...(groups.get(source) ?? []), { symbol, want, why }]);
  }
  return renderLayerFile('recipes-kernel/linux/[name]-kmeta/[name]-[engine].cfg', {
    engine,
    kernel: `${recipe} ${version}`,
    groups: [...groups].map(([source, options]) => ({ source, options })),
  });
}
