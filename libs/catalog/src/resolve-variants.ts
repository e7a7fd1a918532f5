import { findClashes } from '@boxship/compose-spec';
import {
  UserError,
  parseDigest,
  type App,
  type OtherPlace,
  type Problem,
  type Variant,
  type VariantApp,
  type VariantEngine,
} from '@boxship/model';
import { pinFiles, type ArtifactFiles } from './artifact-files.ts';
import { baseOrigin } from './base-source.ts';
import { deviceNodesFor } from './device-nodes.ts';
import type { Lock } from './lock-file.ts';
import type { Machine, Product, ProductVariant } from './product.ts';
import type { ProductApps } from './read-apps.ts';
import { refuseOtherPlatforms } from './service-platforms.ts';
import { neededPrograms } from './tool-versions.ts';

export interface ResolveOptions {
  readonly signing: Variant['signing'];
  /** Only these variants and machines; all when absent. */
  readonly variants?: readonly string[];
  readonly machines?: readonly string[];
  /** Version of Boxship. */
  readonly version: string;
  /** Of the files that artifacts name. */
  readonly artifactFiles?: ArtifactFiles;
}

/**
 * The variants of a product with every input pinned by its lock. Errors: LOCK_MISMATCH (all differences at once),
 * OTHER_PLATFORM, PORT_CONFLICT, DUPLICATE_CONTAINER, DUPLICATE_FILE, UNKNOWN_VARIANT, UNKNOWN_MACHINE, NO_VARIANT, SAME_OUTPUT.
 */
export function resolveVariants(
  product: Product,
  apps: ProductApps,
  lock: Lock,
  options: ResolveOptions,
): readonly Variant[] {
  const differences = lockDifferences(product, apps, lock);
  if (differences.length > 0) throw new UserError(differences);
  refuseUnknown('variant', options.variants, product.variants);
  refuseUnknown('machine', options.machines, product.machines);
  const all = product.variants.flatMap((variant) =>
    product.machines
      .filter(({ name }) => variant.machines.includes(name))
      .map((machine) => resolveVariant(product, apps, variant, machine, lock, options)),
  );
  refuseClashes(product, apps);
  refuseOtherPlatforms(product, apps);
  refuseSameOutput(all); // of those that are not asked for, too: they are made another day
  for (const variant of all) refuseLongName(variant);
  const variants = all.filter(
    ({ name, machine }) =>
      (options.variants?.includes(name) ?? true) && (options.machines?.includes(machine.name) ?? true),
  );
  if (variants.length === 0) {
    throw new UserError('NO_VARIANT', 'no variant is left for these machines', 'See "variants" in boxship.yaml.');
  }
  return variants;
}

/** Folder of a variant's artifacts below deploy/: `<product>-<version>/<machine>-<engine>-<variant>`. */
export function releaseFolder({ product, version, machine, engine, name }: Variant): string {
  return `${product}-${version}/${machine.name}-${engine.name}-${name}`;
}

/** What the product file says and the lock does not, or says otherwise. Nothing is fetched. */
export function lockDifferences(product: Product, apps: ProductApps, lock: Lock): readonly Problem[] {
  const problems: Problem[] = [];
  const differs = (message: string, where: Problem['where']) =>
    problems.push({ code: 'LOCK_MISMATCH', message, hint: 'Run: boxship lock', ...(where ? { where } : {}) });
  if (lock.product !== product.name) differs(`boxship.lock is of the product "${lock.product}"`, undefined);
  for (const machine of product.machines) {
    const locked = Object.hasOwn(lock.bases, machine.name) ? lock.bases[machine.name] : undefined;
    const { where, base } = machine;
    if (!base) {
      if (locked) differs(`boxship.lock has a base for "${machine.name}", boxship.yaml has none`, where);
    } else if (!locked) differs(`machine "${machine.name}" is not in boxship.lock`, where);
    else if (locked.from !== baseOrigin(base)) differs(`boxship.lock has another base for "${machine.name}"`, where);
    else if ('sha256' in base && locked.digest !== `sha256:${base.sha256}`) {
      differs(`boxship.lock has another digest for the base of "${machine.name}"`, where);
    }
  }
  for (const { name, where } of product.apps) {
    const app = apps.get(name)!;
    const locked = Object.hasOwn(lock.apps, name) ? lock.apps[name] : undefined;
    if (!locked) differs(`app "${name}" is not in boxship.lock`, where);
    else if (locked.digest !== app.digest) differs(`app "${name}" was changed after boxship.lock was written`, where);
    else if (
      locked.images.join() !==
      app.images
        .map(({ reference }) => reference)
        .sort()
        .join()
    ) {
      differs(`boxship.lock has other images for the app "${name}" than its Compose file`, where);
    }
  }
  for (const { reference, platform, origin, where } of wantedImages(product, apps)) {
    if (!lock.images.some((image) => image.reference === reference && image.platform === platform)) {
      differs(`the image ${reference} for ${platform} is not in boxship.lock`, where);
    } else if (lock.origins[reference] !== origin) {
      differs(`the image ${reference} comes from ${origin}, in boxship.lock from ${lock.origins[reference]}`, where);
    }
  }
  for (const program of neededPrograms(product)) {
    if (!Object.hasOwn(lock.tools, program)) differs(`the version of ${program} is not in boxship.lock`, undefined);
  }
  return problems;
}

export interface WantedImage {
  /** Normalised. */
  readonly reference: string;
  readonly platform: string;
  readonly origin: string;
  readonly where?: Problem['where'];
  /** The first machine that wants it for this platform. */
  readonly machine: OtherPlace;
}

/** Every image on every platform that some variant runs it on, sorted. */
export function wantedImages(product: Product, apps: ProductApps): readonly WantedImage[] {
  const wanted = new Map<string, WantedImage>();
  for (const variant of product.variants) {
    for (const machine of product.machines) {
      const { name, platform, platformWhere } = machine;
      if (!variant.machines.includes(name)) continue;
      const { images: ofEngine = [] } = engineFor(product, variant, machine);
      const used = [
        ...ofEngine.map((reference) => ({ reference, where: variant.where })),
        ...variant.apps.flatMap((app) => apps.get(app)!.images),
      ];
      for (const { reference, where } of used) {
        const origin = apps.origins.get(reference)?.from ?? 'registry';
        const key = `${reference} ${platform}`;
        const first = wanted.get(key)?.machine ?? {
          what: `the machine "${name}" runs ${platform}`,
          where: platformWhere,
        };
        wanted.set(key, { reference, platform, origin, machine: first, ...(where ? { where } : {}) });
      }
    }
  }
  return [...wanted.keys()].sort().map((key) => wanted.get(key)!);
}

/** A variant's engine goes before its machine's, and that before the product's. */
export function engineFor(product: Product, variant: ProductVariant, machine: Machine): VariantEngine {
  return variant.engine ?? machine.engine ?? product.engine;
}

function resolveVariant(
  product: Product,
  apps: ProductApps,
  variant: ProductVariant,
  machine: Machine,
  lock: Lock,
  { signing, version, artifactFiles }: ResolveOptions,
): Variant {
  const { name, apps: appNames } = variant;
  const engine = engineFor(product, variant, machine);
  const variantApps: readonly VariantApp[] = appNames.map((app) => ({
    name: app,
    digest: parseDigest(lock.apps[app]!.digest),
    images: lock.apps[app]!.images,
    ...secretsOf(apps.get(app)!.app),
  }));
  const devices = deviceNodesFor(machine, appNames.map((app) => apps.get(app)!.app)); // prettier-ignore
  const references = new Set([...variantApps.flatMap(({ images }) => images), ...(engine.images ?? [])]);
  const base = machine.base && lock.bases[machine.name]!;
  return {
    product: product.name,
    version: product.version,
    name,
    machine: {
      name: machine.name,
      platform: machine.platform,
      ...(machine.rootfs ? { rootfs: machine.rootfs } : {}),
      ...(devices ? { devices } : {}),
    },
    ...(base ? { base: { digest: base.digest, size: base.size } } : {}),
    engine,
    apps: variantApps,
    images: lock.images.filter((image) => references.has(image.reference) && image.platform === machine.platform),
    artifacts: machine.artifacts.map((one) => pinFiles(one.options, artifactFiles ?? new Map())),
    ...(product.documents.length === 0 ? {} : { documents: product.documents }),
    store: product.store,
    dataSize: product.dataSize,
    signing,
    epoch: lock.epoch,
    tools: { boxship: version, ...lock.tools },
  };
}

/** Two apps of one variant run on one device: they must not want the same port or container name. */
function refuseClashes(product: Product, apps: ProductApps): void {
  const problems = new Map<string, Problem>(); // a pair of apps is often in several variants
  for (const variant of product.variants) {
    const resolved = variant.apps.map((app) => apps.get(app)!.app);
    for (const problem of [...findClashes(resolved), ...findFileClashes(resolved)]) {
      problems.set(problem.message, problem);
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()]);
}

/** Quadlet files of all apps lie in one folder of the device, and their names are those of units. */
function findFileClashes(apps: readonly App[]): readonly Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, App>();
  for (const app of apps) {
    for (const { path } of app.native?.language === 'quadlet' ? app.native.files : []) {
      const other = owners.get(path);
      if (other) {
        problems.push({
          code: 'DUPLICATE_FILE',
          message: `the apps "${other.name}" and "${app.name}" both have a Quadlet file ${path}`,
          hint: 'Rename one of them: podman reads all of them from one folder.',
          where: app.native!.where,
          also: [{ what: `the app "${other.name}"`, where: other.native!.where }],
        });
      }
      owners.set(path, app);
    }
  }
  return problems;
}

function secretsOf({ secrets }: App): Pick<VariantApp, 'secrets'> {
  return secrets ? { secrets } : {};
}

function refuseUnknown(kind: string, asked: readonly string[] | undefined, known: readonly { name: string }[]): void {
  for (const name of asked ?? []) {
    if (known.some((one) => one.name === name)) continue;
    const names = known.map((one) => one.name).join(', ');
    throw new UserError(`UNKNOWN_${kind.toUpperCase()}`, `there is no ${kind} "${name}"`, `Known: ${names}.`);
  }
}

/** What is made beside an image while it is written has the longest name: 60 bytes more. */
const LONGEST_NAME = 255 - 60;

function refuseLongName({ product, version, machine, name }: Variant): void {
  const image = `${product}-${version}-${machine.name}-${name}.img`;
  if (image.length <= LONGEST_NAME) return;
  throw new UserError(
    'NAME_TOO_LONG',
    `the image ${image} would have a name of ${image.length} bytes; at most ${LONGEST_NAME} are possible`,
    'Shorten the name of the product, the machine or the variant, or the version.',
  );
}

/** `a-docker` + `b` and `a` + `docker-b`, as machine and variant, would write one path. */
function refuseSameOutput(variants: readonly Variant[]): void {
  const seen = new Map<string, Variant>();
  for (const variant of variants) {
    const folder = releaseFolder(variant);
    const other = seen.get(folder);
    if (other) {
      throw new UserError(
        'SAME_OUTPUT',
        `variant "${other.name}" of "${other.machine.name}" and variant "${variant.name}" of "${variant.machine.name}" would both write ${folder}`,
        'Rename one of the machines or variants.',
      );
    }
    seen.set(folder, variant);
  }
}
