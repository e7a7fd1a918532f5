import { kernelTables, wantedOptions, type EngineKernelOptions } from '@boxship/engines';
import { pick, UserError } from '@boxship/model';
import type { LayerFile } from './layer-files.ts';
import type { LayerPlan, PlannedMachine } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';

type Kernel = PlannedMachine['kernel'];

/** How a kernel takes options, by `yocto.kernel.<release>.fragments` of a recipe. */
const appends: Readonly<Record<string, (plan: LayerPlan, kernel: Kernel) => readonly LayerFile[]>> = {
  'kernel-yocto': featureFiles,
  'src-uri': fragmentFiles,
};

/**
 * The options of the engine for every kernel of the machines: as a feature for linux-yocto, as a fragment for the kernels of
 * vendors, whose appends lie below `dynamic-layers/<collection>/`. Every append waits for the layer's override.
 * Errors: KERNEL_FRAGMENTS for a kernel that takes options in no way that is known.
 */
export function kernelFiles(plan: LayerPlan): { readonly files: readonly LayerFile[]; readonly dynamicLayers: readonly string[] } {
  const kernels = new Map<string, PlannedMachine>();
  for (const machine of plan.machines) kernels.set(`${machine.kernel.collection}/${machine.kernel.recipe}`, machine);
  const files = [...kernels.values()].flatMap(({ name, kernel }) => {
    const append = Object.hasOwn(appends, kernel.fragments) ? appends[kernel.fragments] : undefined;
    if (append) return append(plan, kernel);
    throw new UserError(
      'KERNEL_FRAGMENTS',
      `the kernel ${kernel.recipe} of machine "${name}" takes options through ${kernel.fragments}, which no append is made for`,
      `Known: ${Object.keys(appends).join(', ')}.`,
    );
  });
  const dynamicLayers = [...new Set([...kernels.values()].map(({ kernel }) => kernel.collection))]
    .filter((collection) => collection !== 'core')
    .sort();
  return { files, dynamicLayers };
} // prettier-ignore

function featureFiles(plan: LayerPlan, kernel: Kernel): readonly LayerFile[] {
  const { name } = plan.section;
  const values = { name, product: plan.product, engine: plan.engine };
  const folder = kernelFolder(kernel);
  const kmeta = `${folder}/${name}-kmeta`;
  return [
    {
      path: `${folder}/${kernel.recipe}_%.bbappend`,
      text: renderLayerFile('recipes-kernel/linux/linux-yocto_%.bbappend', values),
    },
    {
      path: `${kmeta}/${name}-${plan.engine}.scc`,
      text: renderLayerFile('recipes-kernel/linux/[name]-kmeta/[name]-[engine].scc', values),
    },
    { path: `${kmeta}/${name}-${plan.engine}.cfg`, text: kernelConfig(plan, kernel) },
  ];
}

function fragmentFiles(plan: LayerPlan, kernel: Kernel): readonly LayerFile[] {
  const { name } = plan.section;
  const folder = kernelFolder(kernel);
  return [
    {
      path: `${folder}/${kernel.recipe}_%.bbappend`,
      text: renderLayerFile('dynamic-layers/[collection]/recipes-kernel/linux/[kernel]_%.bbappend', {
        name,
        engine: plan.engine,
      }),
    },
    { path: `${folder}/files/${name}-${plan.engine}.cfg`, text: kernelConfig(plan, kernel) },
  ];
}

function kernelFolder({ collection }: Kernel): string {
  return collection === 'core' ? 'recipes-kernel/linux' : `dynamic-layers/${collection}/recipes-kernel/linux`;
}

/** A configuration fragment: each option with what it is for, grouped by where that is said. */
function kernelConfig(plan: LayerPlan, { recipe, version }: Kernel): string {
  const table = pick<EngineKernelOptions>('engine', kernelTables, plan.engine);
  const groups = new Map<string, object[]>();
  for (const { symbol, want, why, source } of wantedOptions(table, { version })) {
    groups.set(source, [...(groups.get(source) ?? []), { symbol, want, why }]);
  }
  return renderLayerFile('recipes-kernel/linux/[name]-kmeta/[name]-[engine].cfg', {
    engine: plan.engine,
    kernel: `${recipe} ${version}`,
    groups: [...groups].map(([source, options]) => ({ source, options })),
  });
}
