import { basename } from 'node:path';
import { UserError, type DeviceClass } from '@boxship/model';
import { listAssetFiles, readAssetFile } from '@boxship/host';
import schema from './recipe-schema.json' with { type: 'json' };
import validate from './recipe-schema.json?validator';
import { schemaProblems } from './schema-problems.ts';
import { parseYaml } from './yaml-file.ts';

/** The published JSON Schema of a recipe; it has the meaning of every field. */
export const recipeSchema: object = schema;

/** Releases of Yocto that recipes speak of, the oldest first. */
export const recipeReleases = ['scarthgap', 'whinlatter', 'wrynose', 'master'] as const;
export type RecipeRelease = (typeof recipeReleases)[number];
export type PerRelease<T> = { readonly [release in RecipeRelease]?: T };

/** A machine of the catalogue, `recipes/<vendor>/<machine>.yaml`: what a product file need not say. */
export interface Recipe {
  readonly description: string;
  readonly platform?: string;
  readonly rootfs?: { readonly partition?: number; readonly name?: string };
  readonly hardware?: RecipeHardware;
  /** Formats of the vendor's base images. */
  readonly baseImage?: readonly string[];
  /** How an image gets onto it. */
  readonly flash?: readonly string[];
  /** Formats of artifacts that it takes, the usual one first, and why. Absent: not known, each is taken. */
  readonly artifacts?: readonly { readonly formats: readonly string[]; readonly why: string }[];
  readonly tezi?: { readonly productIds: readonly string[]; readonly device: string; readonly bootDevice?: string };
  readonly disk?: RecipeDisk;
  /** Device nodes by class; an empty list when the machine has none. */
  readonly devices?: Readonly<Record<DeviceClass, readonly DeviceRule[]>>;
  readonly yocto?: RecipeYocto;
  /** Where the facts were read. */
  readonly sources: readonly string[];
}

/** Sizes are text with a unit, as `512MiB`: `parseByteSize` reads them. */
export interface RecipeHardware {
  readonly soc?: string;
  readonly wordSize: 32 | 64;
  readonly mmu: boolean;
  readonly pageSizes: readonly string[];
  /** Ascending: the smallest that is sold decides. */
  readonly ram: readonly string[];
  readonly storage: readonly { readonly kind: string; readonly sizes?: readonly string[] }[];
}

export interface RecipeDisk {
  readonly table: 'gpt' | 'mbr';
  readonly tableIn?: PerRelease<'gpt' | 'mbr'>;
  /** `--ondisk` of the vendor's wks. */
  readonly device: string;
  readonly alignment?: string;
  readonly partitions: readonly RecipePartition[];
  readonly bootloader: { readonly name: string; readonly append?: string; readonly timeout?: number };
  readonly ab: { readonly possible: boolean; readonly why: string };
}

export interface RecipePartition {
  readonly name: string;
  readonly mount?: string;
  /** wic's source plugin; none for swap space. */
  readonly source?: string;
  readonly sourceParameters?: string;
  /** Of source rootfs: the folder of it that this partition holds. */
  readonly folder?: string;
  /** Of source rootfs: what this partition leaves out. */
  readonly exclude?: readonly string[];
  readonly filesystem?: string;
  readonly active?: boolean;
  readonly useUuid?: boolean;
  readonly useLabel?: boolean;
  /** False for bytes that are no file system. Default: true. */
  readonly label?: boolean;
  /** In a GPT, lower case. */
  readonly uuid?: string;
  /** False for bytes that the table does not name. Default: true. */
  readonly inTable?: boolean;
  readonly type?: string;
  readonly size?: string;
  readonly fixedSize?: string;
  readonly alignment?: string;
}

/** Device nodes with their major number, or network interfaces. */
export interface DeviceRule {
  readonly nodes?: readonly string[];
  readonly interfaces?: readonly string[];
  readonly major?: number | 'dynamic';
  readonly group?: string;
}

export interface RecipeYocto {
  readonly machine: string;
  readonly overrides: readonly string[];
  readonly layers: readonly RecipeLayer[];
  readonly kernel: PerRelease<RecipeKernel>;
  readonly licences?: readonly { readonly variable: string; readonly value: string; readonly why: string }[];
}

export interface RecipeLayer {
  readonly name: string;
  readonly repository: string;
  /** Folder of the layer inside the repository. Default: its root. */
  readonly path?: string;
  readonly collection: string;
  readonly branches: PerRelease<string>;
}

export interface RecipeKernel {
  /** The provider of virtual/kernel. */
  readonly recipe: string;
  readonly version: string;
  readonly fragments: 'kernel-yocto' | 'src-uri' | 'delta-defconfig' | 'merge-config';
  readonly collection: string;
}

/** Names of all machines of the catalogue, sorted. */
export function recipeNames(): readonly string[] {
  return recipeFiles()
    .map((path) => basename(path, '.yaml'))
    .sort();
}

/** The recipe of a machine, or undefined when the catalogue does not have it. */
export function findRecipe(machine: string): Recipe | undefined {
  const path = recipeFiles().find((file) => basename(file, '.yaml') === machine);
  return path === undefined ? undefined : (parseYaml(path, readAssetFile(path)).value as Recipe); // ours: a test checks each
}

/** Checks a recipe. Errors: one UserError with every mistake, each as `file:line:col` with a hint. */
export function parseRecipe(file: string, text: string): Recipe {
  const yaml = parseYaml(file, text);
  if (!validate(yaml.value)) throw new UserError(schemaProblems(yaml, validate.errors ?? []));
  return yaml.value as unknown as Recipe;
}

/** The releases of Yocto in which every layer of the machine has a branch and its kernel is known, the oldest first. */
export function supportedReleases({ yocto }: Recipe): readonly RecipeRelease[] {
  if (!yocto) return [];
  return recipeReleases.filter(
    (release) =>
      yocto.kernel[release] !== undefined && yocto.layers.every(({ branches }) => branches[release] !== undefined),
  );
}

function recipeFiles(): readonly string[] {
  return listAssetFiles('recipes').filter((path) => path.endsWith('.yaml'));
}
