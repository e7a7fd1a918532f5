import { fileIdentity, releaseFolder } from '@boxship/catalog';
import { partitionIdentities } from '@boxship/disk';
import { socketWarnings } from '@boxship/device-socket';
import { engines, type Engine, type EngineDevice } from '@boxship/engines';
import { madeTogether, probeBaseImage } from '@boxship/formats';
import { UserError, formatProblem, pick, type DeviceFacts, type Variant, type VariantEngine } from '@boxship/model';
import { readBaseFacts } from './open-base.ts';
import { deviceFiles } from './fit-socket.ts';
import { openArtifact, originOf, type OpenArtifact } from './open-artifact.ts';
import type { OpenProduct } from './open-product.ts';
import { refuseOtherArchitecture } from './refuse-other-architecture.ts';
import { refuseOtherMachine } from './refuse-other-machine.ts';
import { refuseStoreInBase } from './refuse-store.ts';
import { documentNames } from './release-documents.ts';
import { keyIdOf, openRootfsOf, refuseOtherProduct } from './same-product.ts';
import {
  exchangeFolder,
  writeExchange,
  type ExchangedRelease,
  type ExchangeOptions,
  type ExchangePlan,
} from './write-exchange.ts';

export interface RebaseOptions extends ExchangeOptions {
  /** The new base image: a file or a folder of this host. */
  readonly base: string;
}

/**
 * A new release out of one that was made before: another base image under the same store and data partition, byte for byte.
 * Errors: those of `openArtifact` and of opening a base; OTHER_PRODUCT, OTHER_MACHINE, OTHER_FORMAT, KEY_CHANGED,
 * SOCKET_TOO_OLD, OTHER_ARCHITECTURE, BASE_LACKS_COMPOSE, OUTPUT_IS_INPUT. Nothing is written before all is known to fit.
 */
export async function rebase(open: OpenProduct, path: string, options: RebaseOptions): Promise<ExchangedRelease> {
  await using artifact = await openArtifact(path, options.publicKeyPem ?? open.publicKeyPem, open);
  const { release, format } = artifact;
  const { variant: old } = release;
  refuseOtherProduct(open, old);
  await refuseOtherKey(open, old);
  const machine = open.product.machines.find(({ name }) => name === old.machine.name)!;
  const digest = await fileIdentity(options.base, open.cache, open.progress);
  const baseFormat = await probeBaseImage(options.base);
  if (baseFormat.name !== format.name) {
    throw new UserError(
      'OTHER_FORMAT',
      `the artifact is of the format ${format.name}, the new base image ${baseFormat.name}`,
      'Give a base image of the same kind, or compose a new image.',
    );
  }
  const { cache, progress } = open;
  await using base = await baseFormat.read(options.base, {
    cache,
    progress,
    digestOf: () => Promise.resolve(digest.digest),
  });
  refuseOtherMachine(base, machine);
  for (const device of base.devices) await refuseStoreInBase(device);
  const rootfs = await openRootfsOf(base, old);
  await refuseOtherArchitecture(rootfs.files, old.machine);
  const facts = await readBaseFacts(base, rootfs);
  const engine = pick('engine', engines, old.engine.name);
  const device: EngineDevice = { facts, engine: await engineOfStore(artifact) };
  engine.check(device);
  await refuseLostCompose(artifact, facts);

  const variant: Variant = {
    ...old,
    base: digest,
    artifacts: madeTogether(old.artifacts, format).map(({ options }) => options),
    tools: { ...open.lock.tools, boxship: open.version },
  };
  const folder = await exchangeFolder(options.out, variant, artifact);
  const identity = partitionIdentities(variant.product, variant.machine.name);
  const made = await artifact.exchange.planRebase(
    {
      variant,
      base,
      rootfs,
      identity,
      socket: (foundAs) => deviceFiles(open, variant, device, identity, foundAs, artifact.store.socketVersion),
      from: artifact.image,
      file: artifact.file,
    },
    madeTogether(old.artifacts, format),
  );
  const plan: ExchangePlan = {
    exchanged: 'base',
    from: artifact.file.name,
    variant,
    folder: releaseFolder(variant),
    files: [...made.files, ...documentNames(variant)],
    table: made.table,
    rootfs: { partition: rootfs.partition, changes: made.changes },
    kept: ['the store partition', 'the data partition'],
    warnings: [
      ...base.warnings.map(formatProblem),
      ...[...engine.warnings(device), ...socketWarnings(facts)].map(formatProblem),
      ...made.warnings,
    ],
  };
  options.onPlan?.(plan);
  if (options.dryRun) return { plan, folder };
  const rootfsChanges = made.changes.map((change) => change.path);
  const exchange = {
    variant,
    plan,
    artifacts: [made],
    rootfsChanges,
    madeFrom: { kept: 'apps' as const, ...originOf(artifact) },
  };
  return { plan, folder, release: await writeExchange(open, folder, exchange, options) };
}

/** The engine, and the image store that its images are in, whatever the new base image would choose by itself. */
async function engineOfStore({ image, release: { variant } }: OpenArtifact): Promise<VariantEngine> {
  const engine: Engine = pick('engine', engines, variant.engine.name);
  if (!engine.imageStoreOf || variant.engine.imageStore !== undefined) return variant.engine;
  const before = await readBaseFacts(image, await openRootfsOf(image, variant));
  return { ...variant.engine, imageStore: engine.imageStoreOf({ facts: before, engine: variant.engine }) };
}

/** The store inside was signed when it was made; a device with another key would not start it. Errors: KEY_CHANGED. */
async function refuseOtherKey(open: OpenProduct, old: Variant): Promise<void> {
  const keyId = await keyIdOf(open.publicKeyPem);
  if (keyId === old.signing.keyId) return;
  throw new UserError(
    'KEY_CHANGED',
    `the store of the artifact is signed with the key ${old.signing.keyId}, the product's key is ${keyId}`,
    'Rebase with the key that it was made with, or compose a new image.',
  );
}

/** Apps that the device's own compose program starts need it in the new base, too. Errors: BASE_LACKS_COMPOSE. */
async function refuseLostCompose({ image, release }: OpenArtifact, facts: DeviceFacts): Promise<void> {
  const { variant } = release;
  if (variant.engine.start === 'units') return;
  const before = await readBaseFacts(image, await openRootfsOf(image, variant));
  const hasCompose = ({ engines: found }: DeviceFacts) =>
    found.some(({ name, composePlugin }) => name === variant.engine.name && composePlugin);
  if (!hasCompose(before) || hasCompose(facts)) return;
  throw new UserError(
    'BASE_LACKS_COMPOSE',
    `the apps of the store are started by the compose program of ${variant.engine.name}, which the new base image lacks`,
    'Add it to the base image, or compose a new image: its apps are started in another way then.',
  );
}
