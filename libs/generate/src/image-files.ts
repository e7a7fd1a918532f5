import { UserError } from '@boxship/model';
import { bitbakeString, bitbakeWords } from '@boxship/yocto';
import type { LayerFile, SharedValues } from './layer-files.ts';
import type { LayerPlan, PlannedEngine, PlannedMachine, PlannedVariant } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';
import { wksLines } from './wks-lines.ts';

/** A store that `boxship store` wrote: its folder below the one of all stores, the name of its files, digests of 64 hex digits. */
export interface StoreBundle {
  readonly folder: string;
  readonly file: string;
  readonly store: string;
  readonly data: string;
  /** What follows `.store.ext4` in the file's name: nothing, or `.zst`. */
  readonly suffix: string;
}

/** By `<machine>/<variant>`, names of the product file. */
export type StoreBundles = Readonly<Record<string, StoreBundle>>;

/** An image for each variant, the layout of the disk for each machine, and the stores where bitbake puts them in. */
export function imageFiles(
  plan: LayerPlan,
  valuesOf: (engine: PlannedEngine) => SharedValues,
  bundles?: StoreBundles,
): readonly LayerFile[] {
  const { section } = plan;
  const inBuild = section.bundle === 'build';
  const files: LayerFile[] = [];
  for (const variant of plan.variants) {
    const bundle = `${section.name}-bundle-${variant.recipePart}`;
    const shared = valuesOf(variant.engine);
    files.push({
      path: `recipes-core/images/${section.name}-image-${variant.recipePart}.bb`,
      text: renderLayerFile('recipes-core/images/[name]-image-[variant].bb', {
        ...shared,
        machines: alternatives(variant.machines),
        variant: variant.recipePart,
        summary: bitbakeString(`${section.summary}: ${variant.name}`, 'yocto.summary'),
        packages: bitbakeWords([
          'packagegroup-core-boot',
          `packagegroup-${section.name}-${variant.engine.name}`,
          ...section.packages,
          '${CORE_IMAGE_EXTRA_INSTALL}',
        ]),
        bundle: inBuild ? bundle : '',
        units: variant.engine.needs.units.join(' '),
        probe: variant.engine.needs.probe.join(' '),
      }),
    });
    if (inBuild) files.push(bundleFile(plan, variant, shared, bundles));
  }
  for (const machine of plan.machines) {
    if (!inBuild) files.push(wksFile(plan, machine));
    else {
      for (const variant of plan.variants.filter(({ machines }) => machines.includes(machine))) {
        files.push(wksFile(plan, machine, variant, bundles));
      }
    }
  }
  return files;
}

function bundleFile(
  plan: LayerPlan,
  variant: PlannedVariant,
  shared: SharedValues,
  bundles: StoreBundles | undefined,
): LayerFile {
  const name = `${plan.section.name}-bundle-${variant.recipePart}`;
  return {
    path: `recipes-core/${plan.section.name}-bundle/${name}_${plan.packageVersion}.bb`,
    text: renderLayerFile('recipes-core/[name]-bundle/[name]-bundle-[variant]_[version].bb', {
      ...shared,
      machines: alternatives(variant.machines),
      variant: variant.recipePart,
      bundles: variant.machines.map((machine) => ({
        machine: machine.machine,
        ...bundleOf(bundles, machine, variant),
      })),
    }),
  };
}

function wksFile(
  plan: LayerPlan,
  machine: PlannedMachine,
  variant?: PlannedVariant,
  bundles?: StoreBundles,
): LayerFile {
  const { name } = plan.section;
  const bundle = variant && bundleOf(bundles, machine, variant);
  const part = variant ? `${variant.recipePart}-` : '';
  return {
    path: `${plan.release.wksFolder}/${name}-${part}${machine.machine}.wks.in`,
    text: renderLayerFile('[wks]/[name]-[machine].wks.in', {
      product: plan.product,
      machine: machine.machine,
      description: variant
        ? `The partitions of ${machine.description}, and the store of the variant ${variant.name}.`
        : `The partitions of ${machine.description}. boxship compose adds store and data behind them.`,
      lines: wksLines(plan, machine, bundle?.file),
    }),
  };
}

function bundleOf(bundles: StoreBundles | undefined, machine: PlannedMachine, variant: PlannedVariant): StoreBundle {
  const key = `${machine.name}/${variant.name}`;
  const found = bundles && Object.hasOwn(bundles, key) ? bundles[key] : undefined;
  if (found) return found;
  throw new UserError(
    'NO_BUNDLE',
    `there is no store for the variant "${variant.name}" of ${machine.name}, and yocto.bundle is build`,
    'Write it first: boxship store. Or let boxship compose put the containers in: yocto: { bundle: compose }.',
  );
}

function alternatives(machines: readonly PlannedMachine[]): string {
  return `^(${machines.map(({ machine }) => machine.replaceAll('.', '\\.')).join('|')})$`;
}
