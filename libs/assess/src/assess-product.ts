import { stat } from 'node:fs/promises';
import {
  basePath,
  fileIdentity,
  findRecipe,
  lockDifferences,
  readApps,
  readLock,
  readProductFile,
  type Lock,
  type Machine,
  type Product,
  type ProductApps,
  type Recipe,
} from '@boxship/catalog';
import { engines, type Engine } from '@boxship/engines';
import { yoctoReleases } from '@boxship/yocto';
import { readDeviceFacts } from '@boxship/filesystem';
import { probeBaseImage } from '@boxship/formats';
import type { Cache, Progress } from '@boxship/host';
import { INVENTORY_KIND, openInventory } from '@boxship/image-layers';
import {
  UserError,
  bytesSource,
  digestHex,
  parseByteSize,
  pick,
  type FileIdentity,
  type Service,
} from '@boxship/model';
import { assessVariant } from './assess-variant.ts';
import type { Assessment } from './assessment.ts';
import { isKernelOf } from './check-processor.ts';
import { figures } from './figures.ts';
import { readKernelConfigFile } from './kernel-config-file.ts';
import { architectureOf, type KnownFacts } from './known-facts.ts';

export interface AssessOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  /** Only these; all when absent. */
  readonly variants?: readonly string[];
  readonly machines?: readonly string[];
  /** A base image in place of the product file's; `false`: none is read. */
  readonly base?: string | false;
  /** A `.config`, a copy of /proc/config.gz or a kernel image, in place of the base image's own. */
  readonly kernelConfig?: string;
  /** Bytes, in place of the recipe's. */
  readonly ram?: number;
  readonly flash?: number;
}

/**
 * Judges every variant on every machine of it, from what is known: the product file and its Compose files; the recipe, the
 * base image and boxship.lock, as far as they are there. Writes nothing but the cache, needs no network.
 * Errors: those of the product file, its Compose files and of a base image or kernel configuration that was named;
 * UNKNOWN_ENGINE, UNKNOWN_VARIANT, UNKNOWN_MACHINE, NO_VARIANT, KERNEL_OF_ANOTHER_ARCHITECTURE.
 */
export async function assessProduct(file: string, options: AssessOptions): Promise<readonly Assessment[]> {
  const product = await readProductFile(file);
  const apps = readApps(product, options.progress);
  const pairs = selected(product, options);
  const { lock, note } = await lockOf(product, apps);
  const kernel = options.kernelConfig === undefined ? undefined : await readKernelConfigFile(options.kernelConfig);
  const machines = new Map<string, Promise<MachineFacts>>();
  const assessments: Assessment[] = [];
  for (const { variant, machine } of pairs) {
    if (!machines.has(machine.name)) machines.set(machine.name, machineFacts(product, machine, lock, options));
    const { base, recipe, unknown } = await machines.get(machine.name)!;
    const engine = (variant.engine ?? machine.engine ?? product.engine).name; // as `resolveVariants`
    const build = pick<Engine>('engine', engines, engine);
    const { services } = servicesOf(apps, variant.apps);
    const images = new Set(services.map(({ image }) => image));
    const bundle = lock && (await bundleOf(lock, machine.platform, images, options.cache));
    const config = kernel
      ? { ...kernel, from: options.kernelConfig! }
      : base?.facts.kernelConfig
        ? {
            options: base.facts.kernelConfig,
            ...(base.facts.kernelVersion === undefined ? {} : { version: base.facts.kernelVersion }),
            ...(base.facts.kernelArchitecture === undefined ? {} : { architecture: base.facts.kernelArchitecture }),
            from: 'the base image',
          }
        : undefined;
    if (!isKernelOf(machine.platform, config?.architecture)) {
      throw new UserError(
        'KERNEL_OF_ANOTHER_ARCHITECTURE',
        `the kernel configuration of ${config!.from} is for ${config!.architecture}, the machine "${machine.name}" is ${machine.platform}`,
        'Take the configuration of the kernel that runs on this machine.',
        machine.where,
      );
    }
    const known: KnownFacts = {
      platform: machine.platform,
      engine,
      distroFeatures: build.buildNeeds(yoctoReleases.wrynose, product.engineSettings, { name: engine }).distroFeatures,
      services,
      ...(recipe ? { recipe } : {}),
      ram: options.ram === undefined ? (recipe?.hardware?.ram ?? []).map(parseByteSize) : [options.ram],
      ...storageOf(recipe, options.flash),
      ...(base ? { base } : {}),
      ...(config ? { kernel: config } : {}),
      ...(bundle ? { bundle } : {}),
      store: product.store,
      dataSize: product.dataSize,
    };
    const more = [...unknown, ...(note ? [note] : []), ...(bundle && !bundle.exact ? [NOT_READ] : [])];
    assessments.push(assessVariant(product, variant.name, machine, known, more));
  }
  return assessments;
}

const NOT_READ = 'Image layers that this host has not read: their unpacked size is estimated. boxship lock reads them.';

interface MachineFacts {
  readonly base?: NonNullable<KnownFacts['base']>;
  readonly recipe?: Recipe;
  readonly unknown: readonly string[];
}

async function machineFacts(
  product: Product,
  machine: Machine,
  lock: Lock | undefined,
  options: AssessOptions,
): Promise<MachineFacts> {
  const { cache, progress } = options;
  const recipe = machine.recipe === undefined ? undefined : findRecipe(machine.recipe);
  const unknown: string[] = [];
  if (!recipe) unknown.push(`The machine "${machine.name}" is in no recipe: its hardware is not known. Give --ram and --flash, or name a recipe.`); // prettier-ignore
  if (options.base === false) return { ...(recipe ? { recipe } : {}), unknown };
  const path = options.base ?? (await pathOfBase(product, machine, lock, cache));
  if (path === undefined) {
    unknown.push(
      machine.base
        ? `The base image of "${machine.name}" is known after boxship lock only: its system and size are not. Name one with --base.`
        : `The machine "${machine.name}" has no base image: its system and size are not known. Name one with --base.`,
    );
    return { ...(recipe ? { recipe } : {}), unknown };
  }
  const isThere = await stat(path).then(() => true, () => false); // prettier-ignore
  if (!isThere) {
    if (options.base !== undefined) {
      throw new UserError('NOT_FOUND', `there is no file ${path}`, "Name the vendor's image, or none: --no-base.");
    }
    unknown.push(`The base image ${path} is not there: its system and size are not known. Name one with --base.`);
    return { ...(recipe ? { recipe } : {}), unknown };
  }
  const digestOf = async (of: string) => (await fileIdentity(of, cache, progress)).digest;
  const format = await probeBaseImage(path);
  await using image = await format.read(path, { cache, progress, digestOf });
  const { files } = await image.openRootfs({
    architecture: architectureOf(machine.platform),
    ...(machine.rootfs ? { selector: machine.rootfs } : {}),
  });
  const facts = await readDeviceFacts(files);
  const size = image.devices.reduce((sum, device) => sum + device.content.size, 0);
  if (size === 0) unknown.push(`How much flash ${path} takes is decided by its installer, and not counted.`);
  return { base: { ...(size > 0 ? { size } : {}), facts }, ...(recipe ? { recipe } : {}), unknown };
}

/** Undefined when there is none, or when only the lock knows which blob it is. */
async function pathOfBase(
  product: Product,
  { name, base, where }: Machine,
  lock: Lock | undefined,
  cache: Cache,
): Promise<string | undefined> {
  if (!base) return undefined;
  const locked = lock && Object.hasOwn(lock.bases, name) ? lock.bases[name] : undefined;
  if ('oci' in base && !locked) return undefined;
  return basePath(product, { base, where }, cache, locked ?? UNLOCKED);
}

/** Only a base image that comes out of a registry is found by its digest. */
const UNLOCKED: FileIdentity = { digest: `sha256:${'0'.repeat(64)}`, size: 0 };

function storageOf(recipe: Recipe | undefined, flash: number | undefined): Pick<KnownFacts, 'storage'> {
  const first = recipe?.hardware?.storage[0];
  const kind = first === undefined ? {} : { kind: first.kind };
  if (flash !== undefined) return { storage: { ...kind, size: flash } };
  const size = first?.sizes?.[0];
  return size === undefined ? {} : { storage: { ...kind, size: parseByteSize(size) } };
}

function selected(product: Product, options: AssessOptions) {
  const refuse = (kind: string, asked: readonly string[] | undefined, known: readonly string[]) => {
    const wrong = (asked ?? []).filter((name) => !known.includes(name));
    if (wrong.length === 0) return;
    throw new UserError(
      `UNKNOWN_${kind.toUpperCase()}`,
      `there is no ${kind} "${wrong[0]}" in ${product.file}`,
      `Known: ${known.join(', ')}.`,
    );
  };
  refuse('variant', options.variants, product.variants.map(({ name }) => name)); // prettier-ignore
  refuse('machine', options.machines, product.machines.map(({ name }) => name)); // prettier-ignore
  const pairs = product.variants.flatMap((variant) =>
    product.machines
      .filter(({ name }) => variant.machines.includes(name) && (options.machines?.includes(name) ?? true))
      .map((machine) => ({ variant, machine })),
  );
  const wanted = pairs.filter(({ variant }) => options.variants?.includes(variant.name) ?? true);
  if (wanted.length > 0) return wanted;
  throw new UserError('NO_VARIANT', 'no variant is left for these machines', 'See "variants" in boxship.yaml.');
}

function servicesOf(apps: ProductApps, names: readonly string[]): { readonly services: readonly Service[] } {
  return { services: names.flatMap((name) => apps.get(name)!.app.services) };
}

/** The lock when it is there and of this product; else what is not known for want of it. */
async function lockOf(product: Product, apps: ProductApps): Promise<{ readonly lock?: Lock; readonly note?: string }> {
  try {
    const lock = await readLock(product.file);
    if (lockDifferences(product, apps, lock).length === 0) return { lock };
    return {
      note: 'boxship.lock is of another state of the product: the size of the bundle is not known. Run: boxship lock',
    };
  } catch (error) {
    if (!(error instanceof UserError) || error.problems[0]?.code !== 'NO_LOCK') throw error;
    return { note: 'There is no boxship.lock: the size of the bundle is not known. Run: boxship lock' };
  }
}

/** Unpacked bytes of the layers of these images, each once: exact where `lock` has read them on this host. */
async function bundleOf(
  lock: Lock,
  platform: string,
  images: ReadonlySet<string>,
  cache: Cache,
): Promise<NonNullable<KnownFacts['bundle']>> {
  const layers = new Map(
    lock.images
      .filter((image) => image.platform === platform && images.has(image.reference))
      .flatMap((image) => image.layers.map((layer) => [layer.diffId, layer] as const)),
  );
  let bytes = 0;
  let exact = true;
  for (const { blob } of layers.values()) {
    const folder = cache.path(INVENTORY_KIND, digestHex(blob.digest));
    const inventory = await openInventory(folder, () => bytesSource(blob.digest, new Uint8Array()));
    if (!inventory) exact = false;
    bytes += inventory?.fileBytes ?? Math.round(blob.size * figures.layerExpansion.value);
  }
  return { bytes, exact };
}
