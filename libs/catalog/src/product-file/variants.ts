import type { Problem } from '@boxship/model';
import type { ProductVariant } from '../product.ts';
import { nearest } from '../schema-problems.ts';
import type { YamlFile } from '../yaml-file.ts';
import { engineOf } from './engine.ts';
import type { ProductYaml } from './product-yaml.ts';

export function variantsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ProductVariant[] {
  const unknown = (path: (string | number)[], kind: string, name: string, known: string[]) => {
    const near = nearest(name, known);
    problems.push({
      code: `UNKNOWN_${kind.toUpperCase()}`,
      message: `there is no ${kind} "${name}"`,
      hint: near ? `Did you mean "${near}"?` : `Known: ${known.join(', ')}.`,
      where: yaml.locate(path),
    });
  };
  const apps = Object.keys(raw.apps);
  const machines = Object.keys(raw.machines);
  const names = Object.keys(raw.variants);
  for (const [name, variant] of Object.entries(raw.variants)) {
    if (variant.extends !== undefined && !Object.hasOwn(raw.variants, variant.extends)) {
      unknown(['variants', name, 'extends'], 'variant', variant.extends, names);
    }
    variant.apps?.forEach((app, i) => {
      if (!apps.includes(app)) unknown(['variants', name, 'apps', i], 'app', app, apps);
    });
    variant.machines?.forEach((machine, i) => {
      if (!machines.includes(machine)) unknown(['variants', name, 'machines', i], 'machine', machine, machines);
    });
  }
  return names.flatMap((name) => {
    const chain: string[] = [];
    for (let at: string | undefined = name; at !== undefined && Object.hasOwn(raw.variants, at);) {
      if (chain.includes(at)) {
        problems.push({
          code: 'VARIANT_CYCLE',
          message: `variant "${name}" extends itself: ${[...chain.slice(chain.indexOf(at)), at].join(' -> ')}`,
          hint: 'Take one "extends" out of the circle.',
          where: yaml.locate(['variants', name, 'extends']),
        });
        return [];
      }
      chain.push(at);
      at = raw.variants[at]!.extends;
    }
    const line = chain.map((one) => raw.variants[one]!);
    const at = chain.find((one) => raw.variants[one]!.engine !== undefined);
    const engine = at === undefined ? undefined : raw.variants[at]!.engine;
    return [
      {
        name,
        apps: [...new Set([...line].reverse().flatMap((variant) => variant.apps ?? []))],
        ...(engine === undefined ? {} : { engine: engineOf(yaml, ['variants', at!, 'engine'], engine, problems) }),
        machines: line.find((variant) => variant.machines)?.machines ?? machines,
        where: yaml.locate(['variants', name], true),
      },
    ];
  });
}
