import { basename } from 'node:path';
import { parse } from 'yaml';
import { listAssetFiles, readAssetFile } from '@boxship/host';

/** A machine of the catalogue, `recipes/<vendor>/<machine>.yaml`: what a product file need not say. */
export interface Recipe {
  readonly description: string;
  readonly platform?: string;
  readonly rootfs?: { readonly partition?: number; readonly name?: string };
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
  return path === undefined ? undefined : (parse(readAssetFile(path)) as Recipe); // ours: a test reads every one
}

function recipeFiles(): readonly string[] {
  return listAssetFiles('recipes').filter((path) => path.endsWith('.yaml'));
}
