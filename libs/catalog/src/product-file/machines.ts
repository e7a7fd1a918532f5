import { parseByteSize, UserError, type Problem } from '@boxship/model';
import type { BaseSource, Machine } from '../product.ts';
import { findRecipe, recipeNames } from '../recipe.ts';
import { nearest } from '../schema-problems.ts';
import type { YamlFile } from '../yaml-file.ts';
import { artifactsFor, artifactsOf } from './artifacts.ts';
import { engineOf } from './engine.ts';
import type { MachineYaml, ProductYaml } from './product-yaml.ts';

export function machinesOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): Machine[] {
  const forAll = raw.artifacts && artifactsOf(yaml, raw.artifacts, ['artifacts'], problems);
  return Object.entries(raw.machines).flatMap(([name, given]) => {
    const where = yaml.locate(['machines', name], true);
    const written: MachineYaml = typeof given === 'string' ? { recipe: given } : given;
    const recipe = findRecipe(written.recipe ?? name);
    if (written.recipe !== undefined && !recipe) {
      const near = nearest(written.recipe, recipeNames());
      problems.push({
        code: 'UNKNOWN_MACHINE',
        message: `there is no recipe "${written.recipe}" in the catalogue`,
        hint: near ? `Did you mean "${near}"?` : 'Define it in place: { base: FILE, platform: linux/arm64 }.',
        where: yaml.locate(['machines', name]),
      });
      return [];
    }
    const { artifacts: _taken, ...facts } = recipe ?? {};
    const machine: MachineYaml = { ...facts, ...written };
    const own = written.artifacts && artifactsOf(yaml, written.artifacts, ['machines', name, 'artifacts'], problems);
    const artifacts = artifactsFor(name, recipe, own ?? forAll, problems);
    const platform = machine.platform ?? (/x86[-_]?64|amd64/.test(name) ? 'linux/amd64' : undefined);
    if (platform === undefined) {
      problems.push({
        code: 'MISSING_KEY',
        message: `machine "${name}" lacks "platform"`,
        hint: 'Add the platform of its images: platform: linux/arm64.',
        where,
      });
    }
    if (platform === undefined) return [];
    const { base, rootfs } = machine;
    const selector =
      rootfs?.partition !== undefined
        ? { partition: rootfs.partition }
        : rootfs?.name !== undefined
          ? { name: rootfs.name }
          : undefined;
    return [
      {
        name,
        ...(base === undefined ? {} : { base: baseSource(base) }),
        platform,
        platformWhere: yaml.locate(['machines', name, 'platform'], true),
        artifacts,
        ...(machine.engine === undefined
          ? {}
          : { engine: engineOf(yaml, ['machines', name, 'engine'], machine.engine, problems) }),
        ...(selector ? { rootfs: selector } : {}),
        ...storageOf(yaml, name, machine.storage, problems),
        ...(recipe ? { recipe: written.recipe ?? name } : {}),
        where,
      },
    ];
  });
}

function baseSource(given: NonNullable<MachineYaml['base']>): BaseSource {
  if (typeof given === 'string')
    return given.startsWith('oci:') ? { oci: given.slice('oci:'.length) } : { path: given };
  if ('url' in given) return given;
  const { rootfs, wks, files = {}, variables = {} } = given;
  return {
    rootfs,
    wks,
    files,
    variables: Object.fromEntries(Object.entries(variables).map(([k, v]) => [k, String(v)])),
  };
}

function storageOf(
  yaml: YamlFile,
  name: string,
  given: MachineYaml['storage'],
  problems: Problem[],
): { storage?: number } {
  if (given === undefined) return {};
  try {
    return { storage: parseByteSize(String(given)) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(
      ...error.problems.map((problem) => ({ ...problem, where: yaml.locate(['machines', name, 'storage']) })),
    );
    return {};
  }
}
