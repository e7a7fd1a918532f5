import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Ajv } from 'ajv';
import { MiB, UserError, parseByteSize, type ArtifactOptions, type Problem, type StoreOptions } from '@boxship/model';
import type { Machine, Product, ProductApp, ProductVariant } from './product.ts';
import { findRecipe, recipeNames } from './recipe.ts';
import schema from './product-schema.json' with { type: 'json' };
import { nearest, schemaProblems } from './schema-problems.ts';
import { parseYaml, type YamlFile } from './yaml-file.ts';

/** The published JSON Schema of boxship.yaml. */
export const productSchema: object = schema;

/** boxship.yaml after JSON Schema said that it has this shape. */
interface ProductYaml {
  product: string;
  version: string;
  machines: Record<string, string | MachineYaml>;
  engine?: string | { name: string };
  apps: Record<string, AppYaml>;
  images?: Record<string, { from: string }>;
  variants: Record<string, { extends?: string; apps?: string[]; machines?: string[] }>;
  artifacts?: (string | Record<string, { compression?: string; bmap?: boolean }>)[];
  store?: { size?: string | number; reserve?: string };
  data?: { size?: string | number };
  signing?: { key: string; publicKey?: string; passwordEnvironment?: string };
}

interface MachineYaml {
  recipe?: string;
  base?: string | { url: string; sha256: string };
  platform?: string;
  rootfs?: { partition?: number; name?: string };
}

interface AppYaml {
  compose: string;
  environment?: Record<string, string | number | boolean>;
  envFile?: string;
  profiles?: string[];
  console?: boolean;
}

/**
 * Reads and checks boxship.yaml. Errors: one UserError with every mistake that was found, each as `file:line:col` with a
 * hint. Files that it names are not opened here.
 */
export async function readProductFile(file: string): Promise<Product> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'EISDIR') throw error;
    throw new UserError(
      'NO_PRODUCT_FILE',
      `there is no ${file}`,
      'Run in the folder of boxship.yaml, or name it: -f FILE.',
    );
  });
  return parseProduct(file, text);
}

export function parseProduct(file: string, text: string): Product {
  const yaml = parseYaml(file, text);
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true });
  const validate = ajv.compile(schema);
  if (!validate(yaml.value)) throw new UserError(schemaProblems(yaml, validate.errors ?? []));
  return productOf(yaml, yaml.value as unknown as ProductYaml);
}

function productOf(yaml: YamlFile, raw: ProductYaml): Product {
  const problems: Problem[] = [];
  const size = (path: string[], text: string | number | undefined, fallback: number): number => {
    if (text === undefined) return fallback;
    try {
      return parseByteSize(String(text));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push({ ...error.problems[0]!, where: yaml.locate(path) });
      return fallback;
    }
  };
  const storeSize = raw.store?.size ?? 'auto';
  const store: StoreOptions = {
    size: storeSize === 'auto' ? 'auto' : size(['store', 'size'], storeSize, 0),
    reserve: Number.parseInt(raw.store?.reserve ?? '20%', 10) / 100,
  };
  const engine = typeof raw.engine === 'string' ? raw.engine : (raw.engine?.name ?? 'docker');
  const product: Product = {
    file: resolve(yaml.file),
    name: raw.product,
    version: raw.version,
    machines: machinesOf(yaml, raw, problems),
    engine: { name: engine },
    apps: appsOf(yaml, raw),
    images: Object.entries(raw.images ?? {}).map(([reference, { from }]) => ({
      reference,
      from,
      where: yaml.locate(['images', reference], true),
    })),
    variants: variantsOf(yaml, raw, problems),
    artifacts: artifactsOf(yaml, raw, problems),
    store,
    dataSize: size(['data', 'size'], raw.data?.size, 64 * MiB),
    ...(raw.signing
      ? {
          signing: {
            key: raw.signing.key,
            publicKey: raw.signing.publicKey ?? raw.signing.key.replace(/(\.key)?$/, '.pub'),
            passwordEnvironment: raw.signing.passwordEnvironment ?? 'COSIGN_PASSWORD',
          },
        }
      : {}),
  };
  if (store.size !== 'auto' && store.size < MiB && raw.store?.size !== undefined && problems.length === 0) {
    problems.push({
      code: 'STORE_TOO_SMALL',
      message: `store.size is ${store.size} bytes; no store fits into less than 1 MiB`,
      hint: 'Write auto, or a size with its unit, as 512MiB.',
      where: yaml.locate(['store', 'size']),
    });
  }
  if (product.dataSize < 8 * MiB) {
    problems.push({
      code: 'DATA_TOO_SMALL',
      message: `data.size is ${product.dataSize} bytes; the least is 8 MiB`,
      hint: 'It is the size as shipped: the partition grows on the device.',
      where: yaml.locate(['data', 'size']),
    });
  }
  if (problems.length > 0) throw new UserError(problems);
  return product;
}

function machinesOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): Machine[] {
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
    const machine: MachineYaml = { ...recipe, ...written };
    const platform = machine.platform ?? (/x86[-_]?64|amd64/.test(name) ? 'linux/amd64' : undefined);
    if (platform === undefined) {
      problems.push({
        code: 'MISSING_KEY',
        message: `machine "${name}" lacks "platform"`,
        hint: 'Add the platform of its images: platform: linux/arm64.',
        where,
      });
    }
    if (machine.base === undefined) {
      problems.push({
        code: 'MISSING_KEY',
        message: `machine "${name}" lacks "base"`,
        hint: "Add the vendor's image: base: ./bsp/vendor.img.",
        where,
      });
    }
    if (platform === undefined || machine.base === undefined) return [];
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
        base: typeof base === 'string' ? { path: base } : base,
        platform,
        ...(selector ? { rootfs: selector } : {}),
        where,
      },
    ];
  });
}

function appsOf(yaml: YamlFile, raw: ProductYaml): ProductApp[] {
  return Object.entries(raw.apps).map(([name, app]) => ({
    name,
    compose: app.compose,
    environment: Object.fromEntries(Object.entries(app.environment ?? {}).map(([key, value]) => [key, String(value)])),
    ...(app.envFile === undefined ? {} : { envFile: app.envFile }),
    profiles: app.profiles ?? [],
    console: app.console ?? false,
    where: yaml.locate(['apps', name], true),
  }));
}

function variantsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ProductVariant[] {
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
    return [
      {
        name,
        apps: [...new Set([...line].reverse().flatMap((variant) => variant.apps ?? []))],
        machines: line.find((variant) => variant.machines)?.machines ?? machines,
        where: yaml.locate(['variants', name], true),
      },
    ];
  });
}

function artifactsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ArtifactOptions[] {
  const seen = new Set<string>();
  return (raw.artifacts ?? ['raw']).flatMap((given, i): ArtifactOptions[] => {
    const name = typeof given === 'string' ? given : Object.keys(given)[0]!;
    if (name !== 'raw') {
      problems.push({
        code: 'UNKNOWN_FORMAT',
        message: `there is no artifact format "${name}"`,
        hint: 'Known: raw.',
        where: yaml.locate(['artifacts', i]),
      });
      return [];
    }
    const options = typeof given === 'string' ? {} : (given['raw'] ?? {});
    const compression = (options.compression ?? 'none') as 'none' | 'gz' | 'xz' | 'zst';
    if (seen.has(compression)) {
      problems.push({
        code: 'DUPLICATE_ARTIFACT',
        message: `the artifact raw with compression ${compression} is listed twice`,
        hint: 'Keep one of them; a block map is of the image inside, whatever its compression.',
        where: yaml.locate(['artifacts', i]),
      });
    }
    seen.add(compression);
    return [{ format: 'raw', compression, bmap: options.bmap ?? true }];
  });
}
