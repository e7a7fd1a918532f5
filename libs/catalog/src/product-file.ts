import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MiB, UserError, parseByteSize, type Problem, type StoreOptions } from '@boxship/model';
import type { Product } from './product.ts';
import { appsOf } from './product-file/apps.ts';
import { engineOf } from './product-file/engine.ts';
import { engineSettingsOf } from './product-file/engine-settings.ts';
import { machinesOf } from './product-file/machines.ts';
import type { ProductYaml } from './product-file/product-yaml.ts';
import { variantsOf } from './product-file/variants.ts';
import { yoctoSectionOf } from './product-file/yocto.ts';
import schema from './product-schema.json' with { type: 'json' };
import validate from './product-schema.json?validator';
import { schemaProblems } from './schema-problems.ts';
import { parseYaml, type YamlFile } from './yaml-file.ts';

/** The published JSON Schema of boxship.yaml. */
export const productSchema: object = schema;

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
  const product: Product = {
    file: resolve(yaml.file),
    name: raw.product,
    version: raw.version,
    machines: machinesOf(yaml, raw, problems),
    engineSettings: engineSettingsOf(yaml, raw.engine, problems),
    engine: engineOf(yaml, ['engine'], raw.engine ?? 'docker', problems),
    apps: appsOf(yaml, raw, problems),
    images: Object.entries(raw.images ?? {}).map(([reference, { from }]) => ({
      reference,
      from,
      where: yaml.locate(['images', reference], true),
    })),
    variants: variantsOf(yaml, raw, problems),
    documents: [...(raw.documents ?? [])].sort(),
    store,
    dataSize: size(['data', 'size'], raw.data?.size, 64 * MiB),
    ...(raw.yocto ? { yocto: yoctoSectionOf(yaml, raw.product, raw.yocto, problems) } : {}),
    ...(raw.signing
      ? {
          signing: {
            key: raw.signing.key,
            publicKey: raw.signing.publicKey ?? raw.signing.key.replace(/(\.key)?$/, '.pub'),
            passwordEnvironment: raw.signing.passwordEnvironment ?? 'COSIGN_PASSWORD',
            ...(raw.signing.certificate === undefined ? {} : { certificate: raw.signing.certificate }),
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
