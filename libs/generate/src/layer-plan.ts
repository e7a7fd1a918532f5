import {
  findRecipe,
  type Machine,
  type Product,
  type RecipeDisk,
  type RecipeKernel,
  type RecipeYocto,
  type YoctoSection,
} from '@boxship/catalog';
import { buildNeedsOf } from '@boxship/engines';
import { UserError, type Location, type Problem, type VariantEngine } from '@boxship/model';
import {
  bitbakeRepository,
  findYoctoRelease,
  packageVersion,
  type BuildNeeds,
  type YoctoRelease,
} from '@boxship/yocto';
import { resolveLayers, type ResolvedLayer } from './resolved-layers.ts';
import { pinOf, type LayerPins } from './layer-pins.ts';

/** One machine as a Yocto build knows it. */
export interface PlannedMachine {
  /** Its name in the product file. */
  readonly name: string;
  /** MACHINE. */
  readonly machine: string;
  readonly description: string;
  readonly disk: RecipeDisk;
  readonly table: 'gpt' | 'mbr';
  readonly kernel: RecipeKernel;
  /** Commit of bitbake, where it is pinned. */
  readonly bitbakeCommit?: string;
  readonly licences: NonNullable<RecipeYocto['licences']>;
  /** Every layer of a build for this machine beside our two, the ones that others stand on first. */
  readonly layers: readonly ResolvedLayer[];
}

/** An engine that images of the layer are a host of. */
export interface PlannedEngine {
  readonly name: string;
  /** What the product file asks of it. */
  readonly engine: VariantEngine;
  readonly needs: BuildNeeds;
  /** DISTRO_FEATURES of the engine, and systemd for the device socket; sorted. */
  readonly features: readonly string[];
}

export interface PlannedVariant {
  readonly name: string;
  readonly engine: PlannedEngine;
  /** The variant's part of a recipe's name: no dots and underscores. */
  readonly recipePart: string;
  readonly machines: readonly PlannedMachine[];
}

/** All that the files of a layer are made from: checked, every default filled in. */
export interface LayerPlan {
  readonly product: string;
  readonly version: string;
  /** The version as PV. */
  readonly packageVersion: string;
  readonly section: YoctoSection;
  readonly release: YoctoRelease;
  /** Those of the variants, by name; one of them in each image. */
  readonly engines: readonly PlannedEngine[];
  readonly machines: readonly PlannedMachine[];
  readonly variants: readonly PlannedVariant[];
}

/** `docker`, or `docker and podman`. */
export function engineNames({ engines }: LayerPlan): string {
  return engines.map(({ name }) => name).join(' and ');
}

export interface PlanLayerOptions {
  /** Another release than the product file names. */
  readonly release?: string;
  readonly pins?: LayerPins;
}

/**
 * What the layer of a product is made from. Errors, all at once: NO_YOCTO_SECTION, UNKNOWN_RELEASE, UNKNOWN_ENGINE,
 * SEVERAL_ENGINES, ENGINE_NOT_ON_PLATFORM, MACHINE_WITHOUT_YOCTO, RELEASE_WITHOUT_MACHINE, NO_AB, SAME_RECIPE, LAYER_WITHOUT_REPOSITORY.
 */
export function planLayer(product: Product, options: PlanLayerOptions = {}): LayerPlan {
  const section = product.yocto;
  if (!section) {
    throw new UserError(
      'NO_YOCTO_SECTION',
      `${product.file} does not say which Yocto layer to make`,
      'Add: yocto: { release: wrynose, maintainer: Jane Doe <jane@acme.example> }',
      { file: product.file },
    );
  }
  const release = findYoctoRelease(options.release ?? section.release);
  const problems: Problem[] = [];
  const engines = planEngines(product, release, problems);
  const layers = [...new Set(engines.flatMap(({ needs }) => needs.layers))];
  const machines = product.machines.flatMap((machine) =>
    planMachine(machine, section, release, layers, options.pins, problems),
  );
  const variants = product.variants.flatMap((variant): PlannedVariant[] => {
    const engine = engines.find(({ name }) => name === engineOfVariant(product, variant));
    if (!engine) return []; // it is among the problems
    return [
      {
        name: variant.name,
        engine,
        recipePart: recipePart(variant.name),
        machines: machines.filter(({ name }) => variant.machines.includes(name)),
      },
    ];
  });
  refuseSameNames(product, variants, machines, problems);
  if (problems.length > 0) throw new UserError(problems);
  return {
    product: product.name,
    version: product.version,
    packageVersion: packageVersion(product.version),
    section,
    release,
    engines,
    machines,
    variants: variants.filter((variant) => variant.machines.length > 0),
  };
}

type ProductVariant = Product['variants'][number];

/** The engine of each machine of a variant, in their order. */
function enginesOfVariant(product: Product, variant: ProductVariant): readonly (readonly [Machine, VariantEngine])[] {
  return product.machines
    .filter(({ name }) => variant.machines.includes(name))
    .map((machine) => [machine, variant.engine ?? machine.engine ?? product.engine]);
}

function engineOfVariant(product: Product, variant: ProductVariant): string {
  return (enginesOfVariant(product, variant)[0]?.[1] ?? variant.engine ?? product.engine).name;
}

/** The engines of all variants. Problems: SEVERAL_ENGINES, ENGINE_NOT_ON_PLATFORM, UNKNOWN_ENGINE. */
function planEngines(product: Product, release: YoctoRelease, problems: Problem[]): readonly PlannedEngine[] {
  const used: (readonly [Machine, VariantEngine])[] = [];
  for (const variant of product.variants) {
    const own = enginesOfVariant(product, variant);
    const names = [...new Set(own.map(([, { name }]) => name))];
    if (names.length > 1) {
      problems.push({
        code: 'SEVERAL_ENGINES',
        message: `the variant "${variant.name}" has ${own.map(([machine, { name }]) => `${name} on ${machine.name}`).join(' and ')}; its image is one bbRecipe for all of its machines`,
        hint: 'Make a variant for each engine.',
        where: variant.where,
      });
    }
    used.push(...own);
  }
  for (const machine of product.machines) {
    if (!used.some(([{ name }]) => name === machine.name)) used.push([machine, machine.engine ?? product.engine]);
  }
  const planned = new Map<string, PlannedEngine>();
  const faulty = new Set<string>();
  for (const [machine, { name }] of used) {
    const { platform, where } = machine;
    if (faulty.has(`${name} ${machine.name}`)) continue;
    const same = used.map(([, engine]) => engine).filter((engine) => engine.name === name);
    const stores = [...new Set(same.map(({ imageStore }) => imageStore ?? 'auto'))].sort();
    if (stores.length > 1) {
      faulty.add(`${name} ${machine.name}`);
      problems.push({
        code: 'SEVERAL_ENGINES',
        message: `the variants keep the images of ${name} in several ways (imageStore: ${stores.join(', ')}); one layer configures an engine once`,
        hint: 'Make a product file for each, with a yocto.name of its own.',
        where,
      });
      continue;
    }
    // an image that one of its variants starts through Compose must have it
    const engine = same.find(({ start }) => start === 'compose') ?? same[0]!;
    const settings = product.engineSettings;
    const needs = collected(problems, where, () => buildNeedsOf(release, { platform, settings, engine }));
    if (!needs) faulty.add(`${name} ${machine.name}`);
    else
      planned.set(name, { name, engine, needs, features: [...new Set([...needs.distroFeatures, 'systemd'])].sort() });
  }
  return [...planned.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function planMachine(
  machine: Machine,
  section: YoctoSection,
  release: YoctoRelease,
  engineLayers: readonly string[],
  pins: LayerPins | undefined,
  problems: Problem[],
): PlannedMachine[] {
  const recipe = machine.recipe === undefined ? undefined : findRecipe(machine.recipe);
  const { where } = machine;
  if (!recipe?.yocto || !recipe.disk) {
    problems.push({
      code: 'MACHINE_WITHOUT_YOCTO',
      message: `machine "${machine.name}" has no recipe that says how Yocto builds it`,
      hint: 'Name one of the catalogue: recipe: qemux86-64. docs/recipes.md says how to add one.',
      where,
    });
    return [];
  }
  const { yocto, disk } = recipe;
  const kernel = yocto.kernel[release.name as keyof typeof yocto.kernel];
  const missing = yocto.layers.find(({ branches }) => branches[release.name as keyof typeof branches] === undefined);
  if (!kernel || missing) {
    problems.push({
      code: 'RELEASE_WITHOUT_MACHINE',
      message: missing
        ? `the layer ${missing.name} of machine "${machine.name}" has no branch for ${release.name}`
        : `machine "${machine.name}" has no kernel for ${release.name}`,
      hint: `It is known for ${Object.keys(yocto.kernel).join(', ')}.`,
      where,
    });
    return [];
  }
  if (section.ab && !disk.ab.possible) {
    problems.push({
      code: 'NO_AB',
      message: `machine "${machine.name}" cannot have two root file systems: ${disk.ab.why}`,
      hint: 'Leave out yocto.ab, or the machine.',
      where,
    });
  }
  const layers = collected(problems, where, () => resolveLayers(section, release, engineLayers, yocto.layers, pins));
  const bitbakeCommit = pinOf(pins, release.name, bitbakeRepository, release.bitbakeBranch);
  return [
    {
      name: machine.name,
      machine: yocto.machine,
      description: recipe.description,
      disk,
      table: disk.tableIn?.[release.name as keyof typeof disk.tableIn] ?? disk.table,
      kernel,
      ...(bitbakeCommit ? { bitbakeCommit } : {}),
      licences: yocto.licences ?? [],
      layers: layers ?? [],
    },
  ];
}

/** A recipe's name has no underscore (the version begins there), and a dot reads like a file's ending. */
function recipePart(variant: string): string {
  return variant.replace(/[._]+/g, '-');
}

function refuseSameNames(
  product: Product,
  variants: readonly PlannedVariant[],
  machines: readonly PlannedMachine[],
  problems: Problem[],
): void {
  const recipes = new Map<string, string>();
  for (const { name, recipePart: part } of variants) {
    const other = recipes.get(part);
    if (other !== undefined) {
      problems.push({
        code: 'SAME_RECIPE',
        message: `the variants "${other}" and "${name}" would both be the bbRecipe ${product.yocto!.name}-image-${part}`,
        hint: 'Rename one of them: a dot and an underscore become a hyphen there.',
        where: product.variants.find((variant) => variant.name === name)!.where,
      });
    }
    recipes.set(part, name);
  }
  const known = new Map<string, string>();
  for (const { name, machine } of machines) {
    const other = known.get(machine);
    if (other !== undefined) {
      problems.push({
        code: 'SAME_MACHINE',
        message: `the machines "${other}" and "${name}" are both MACHINE ${machine}; one layer cannot tell them apart`,
        hint: 'Keep one of them, or make a product file of its own for the other.',
        where: product.machines.find((one) => one.name === name)!.where,
      });
    }
    known.set(machine, name);
  }
}

function collected<T>(problems: Problem[], where: Location | undefined, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...(where ? { where } : {}), ...problem })));
    return undefined;
  }
}
