import { grantDevices, productPath, releaseFolder } from '@boxship/catalog';
import { engines, type EngineDevice } from '@boxship/engines';
import { readDeviceFacts } from '@boxship/filesystem';
import { planTorizon, readOstreeSysroot, readTeziFiles, type TeziFields } from '@boxship/formats';
import {
  formatProblem,
  pick,
  UserError,
  type App,
  type ContainerImage,
  type Problem,
  type Variant,
} from '@boxship/model';
import { budgetOf } from './budget.ts';
import { partsOf } from './inventory-parts.ts';
import type { LockedImages } from './locked-image.ts';
import type { OpenBase } from './open-base.ts';
import type { OpenProduct } from './open-product.ts';
import type { PreparedRelease } from './prepare-variant.ts';
import { refuseSmallStorage } from './refuse-small-storage.ts';
import { documentNames } from './release-documents.ts';
import type { VariantPlan } from './variant-plan.ts';

/** Starts the project below /var of Torizon. */
const SERVICE = 'docker-compose.service';

/**
 * A variant on an OSTree system of Torizon's kind: nothing of the deployment is edited, the app goes where the system's own service
 * looks for it. Errors: OSTREE_AMBIGUOUS, NO_COMPOSE_SERVICE, CONTAINERS_IN_BASE, TORIZON_CONTRACT with every reason at once, those
 * of the engine and of the format.
 */
export async function prepareTorizon(
  open: OpenProduct,
  variant: Variant,
  locked: LockedImages,
  { image, rootfs }: OpenBase,
): Promise<PreparedRelease & { readonly plan: VariantPlan }> {
  const { deployment, varFolder, system } = await readOstreeSysroot(rootfs.files);
  await refuseOtherSystem(deployment, system);
  for (const path of ['lib/docker/image', 'lib/docker/overlay2', 'sota/storage/docker-compose/docker-compose.yml']) {
    if (!(await rootfs.files.exists(`${varFolder}/${path}`))) continue;
    throw new UserError('CONTAINERS_IN_BASE', `the base image has containers already: ${varFolder}/${path}`, "Give the vendor's image without containers."); // prettier-ignore
  }
  const facts = await readDeviceFacts(deployment);
  const device: EngineDevice = { facts, engine: variant.engine };
  const engine = pick('engine', engines, variant.engine.name);
  const apps = variant.apps.map(({ name }) => grantDevices(open.apps.get(name)!.app, variant));
  refuseWhatCannotBe(open, variant, apps, engine.imageStoreOf?.(device));
  engine.check(device);
  const images: ContainerImage[] = [];
  for (const one of variant.images) images.push(await locked.open(one));
  const preload = engine.preload(images, device, { epoch: variant.epoch });
  const store = { *entries() { yield* preload.state.entries(); yield* preload.layers.entries(); } }; // prettier-ignore
  const [options] = variant.artifacts as readonly [Variant['artifacts'][0]];
  const files = await readTeziFiles(options, varFolder, (_option, path) => productPath(open.product, path), variant.epoch); // prettier-ignore
  const release = { variant, base: image, rootfs, varFolder, store, app: apps[0]! };
  const artifact = await planTorizon(release, options as TeziFields, files);
  refuseSmallStorage(
    open.product.machines.find(({ name }) => name === variant.machine.name)!,
    [artifact],
  );
  const bytes = artifact.sources.reduce((sum, { size }) => sum + size, 0);
  return {
    variant,
    artifacts: [artifact],
    readParts: () => partsOf(variant, images, deployment, open.cache),
    plan: {
      variant,
      folder: releaseFolder(variant),
      files: [...artifact.files, ...documentNames(variant)],
      table: artifact.table,
      rootfs: { partition: rootfs.partition, changes: artifact.changes },
      budget: budgetOf(variant, images, new Map([...open.apps].map(([name, { app }]) => [name, app])), {
        ...{ sizeBytes: bytes, usedBytes: bytes, overheadBytes: 0, freeBytes: 0 },
      }),
      warnings: [
        ...image.warnings.map(formatProblem),
        ...engine.warnings(device).map(formatProblem),
        ...artifact.warnings,
      ],
    },
  };
}

async function refuseOtherSystem({ exists }: OpenBase['rootfs']['files'], system: string): Promise<void> {
  for (const folder of ['usr/lib/systemd/system', 'lib/systemd/system', 'etc/systemd/system']) {
    if (await exists(`${folder}/${SERVICE}`)) return;
  }
  throw new UserError(
    'NO_COMPOSE_SERVICE',
    `the OSTree system "${system}" has no ${SERVICE}, which would start the apps: its deployment must not be edited`,
    'Use an image of Torizon OS with docker, or a base image built with the generated Yocto layer.',
  );
}

/** What Torizon's contract has no place for; all reasons at once. */
function refuseWhatCannotBe(
  open: OpenProduct,
  variant: Variant,
  apps: readonly App[],
  store: string | undefined,
): void {
  const problems: Problem[] = [];
  const problem = (message: string, hint: string, where?: Problem['where']) =>
    problems.push({ code: 'TORIZON_CONTRACT', message, hint, ...(where ? { where } : {}) });
  const { where } = open.product.variants.find(({ name }) => name === variant.name)!;
  if (variant.artifacts.some(({ format }) => format !== 'tezi') || variant.artifacts.length > 1) {
    const asked = variant.artifacts.map(({ format }) => format).join(', ');
    problem(`of an OSTree system an image for the installer alone can be made, not ${asked}`, 'Write artifacts: [tezi].', where); // prettier-ignore
  }
  if (variant.engine.name !== 'docker' || store !== 'overlay2') {
    problem(`Torizon's service starts docker with its own image store, not ${variant.engine.name}${store ? ` with ${store}` : ''}`, 'Write engine: { name: docker, imageStore: overlay2 }.', where); // prettier-ignore
  }
  if (apps.length !== 1) {
    problem(`Torizon's service starts one Compose file; variant "${variant.name}" has ${apps.length} apps`, 'Put them into one Compose file: `include` takes others in.', where); // prettier-ignore
  }
  for (const { name, secrets = [], services, native } of apps) {
    if (native) {
      problem(`the app "${name}" is no Compose file (${native.language}), and Torizon's service starts nothing else`, 'Write it as a Compose file.', native.where); // prettier-ignore
    }
    const outside = secrets.filter(({ place }) => place.from !== 'image').map((secret) => secret.name);
    if (outside.length > 0) {
      problem(`the app "${name}" reads secrets from the device (${outside.join(', ')}), which nothing would give it`, 'Mount them as a volume, or let the app fetch them.', where); // prettier-ignore
    }
    for (const service of services.filter(({ deviceClasses }) => deviceClasses)) {
      problem(`the service "${service.name}" asks for hardware by class, which Torizon's service does not know`, 'Write the nodes under "devices".', service.where); // prettier-ignore
    }
  }
  if (problems.length > 0) throw new UserError(problems);
}
