import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { readProductFile, readPublicKey, type Product } from '@boxship/catalog';
import { CosignError, isDevelopmentKey, parsePublicKey } from 'cosign-node-binding';
import { listAssetFiles, readAssetFile } from '@boxship/host';
import { UserError } from '@boxship/model';
import type { StoreBundle, StoreBundles } from './image-files.ts';
import { compareLayer, type LayerChanges } from './layer-changes.ts';
import { layerFiles, type LayerFile } from './layer-files.ts';
import { readLayerPins, type LayerPins } from './layer-pins.ts';
import { planLayer, type LayerPlan } from './layer-plan.ts';

export interface GenerateOptions {
  /** Folder that both layers lie in; default `yocto/` beside the product file. */
  readonly out?: string;
  /** Another release than the product file names. */
  readonly release?: string;
  /** Folder that `boxship store` wrote to; default `store/` beside the product file. */
  readonly stores?: string;
  /** Commits instead of those that boxship-layers.lock has. */
  readonly pins?: LayerPins;
}

/** A product's layer and the static one beside it, compared with what is on disk; nothing is written yet. */
export interface GeneratedLayers {
  readonly product: Product;
  readonly plan: LayerPlan;
  /** Folder that both layers lie in. */
  readonly out: string;
  readonly pins: LayerPins;
  readonly layers: readonly [product: LayerChanges, boxship: LayerChanges];
}

const STATIC = 'layers/meta-boxship';

/** Errors: those of the product file, of `planLayer`, `layerFiles` and `compareLayer`; NO_SIGNING_KEY, NO_PUBLIC_KEY, BAD_LAYER_PINS. */
export async function generateLayers(productFile: string, options: GenerateOptions = {}): Promise<GeneratedLayers> {
  const product = await readProductFile(productFile);
  const home = dirname(product.file);
  const pins = options.pins ?? (await readLayerPins(product.file));
  const plan = planLayer(product, { pins, ...(options.release === undefined ? {} : { release: options.release }) });
  const out = resolve(options.out ?? join(home, 'yocto'));
  const stores = resolve(options.stores ?? join(home, 'store'));
  const publicKeyPem = await readPublicKey(product);
  const files = await layerFiles(plan, {
    key: { publicKeyPem, development: isDevelopment(publicKeyPem) },
    ...(plan.section.bundle === 'build'
      ? { bundles: await readBundles(plan, stores), storesFromOut: relative(out, stores).replaceAll('\\', '/') }
      : {}),
  });
  const release = plan.release.name;
  const layers = await Promise.all([
    compareLayer(`meta-${plan.section.name}`, join(out, `meta-${plan.section.name}`), release, files),
    compareLayer('meta-boxship', join(out, 'meta-boxship'), 'all', staticFiles()),
  ]);
  return { product, plan, out, pins, layers };
}

/** The files of meta-boxship, as they are shipped. */
export function staticFiles(): readonly LayerFile[] {
  return listAssetFiles(STATIC)
    .filter((path) => !path.includes('/__pycache__/'))
    .map((path) => ({ path: path.slice(STATIC.length + 1), text: readAssetFile(path) }));
}

function isDevelopment(publicKeyPem: string): boolean {
  try {
    return isDevelopmentKey(parsePublicKey(publicKeyPem));
  } catch (error) {
    if (!(error instanceof CosignError)) throw error;
    throw new UserError(error.code, error.message, error.hint);
  }
}

/** What `boxship store` wrote for each machine and variant; what is not there stays out. Errors: BAD_BUNDLE. */
async function readBundles(plan: LayerPlan, stores: string): Promise<StoreBundles> {
  const bundles: Record<string, StoreBundle> = {};
  for (const variant of plan.variants) {
    for (const machine of variant.machines) {
      const part = `${plan.product}-${plan.version}/${machine.name}-${variant.engine.name}-${variant.name}`;
      const folder = join(stores, part);
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        return [];
      });
      const name = names.find((one) => one.endsWith('.store.json'));
      if (name === undefined) continue;
      bundles[`${machine.name}/${variant.name}`] = { folder: part, ...readBundle(await readFile(join(folder, name), 'utf8'), join(folder, name)) };
    }
  }
  return bundles;
} // prettier-ignore

function readBundle(text: string, path: string): Omit<StoreBundle, 'folder'> {
  type Partition = { digest?: unknown; file?: { name?: unknown } };
  try {
    const { bundle, partitions } = JSON.parse(text) as { bundle?: unknown; partitions?: { store?: Partition; data?: Partition } };
    const digest = (partition?: Partition) => /^sha256:([0-9a-f]{64})$/.exec(String(partition?.digest))?.[1];
    const store = digest(partitions?.store);
    const data = digest(partitions?.data);
    const suffix = /\.ext4(\.zst)?$/.exec(String(partitions?.store?.file?.name))?.[1] ?? '';
    if (typeof bundle === 'string' && /^[0-9A-Za-z][0-9A-Za-z.+_-]*$/.test(bundle) && store && data) return { file: bundle, store, data, suffix };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError('BAD_BUNDLE', `${path} does not describe a bundle`, 'Write it again: boxship store');
} // prettier-ignore
