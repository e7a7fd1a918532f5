import { releaseFolder } from '@boxship/catalog';
import { socketWarnings } from '@boxship/device-socket';
import { engines, type EngineDevice } from '@boxship/engines';
import { readDeviceFacts } from '@boxship/filesystem';
import { madeTogether } from '@boxship/formats';
import {
  MiB,
  UserError,
  formatByteSize,
  formatProblem,
  pick,
  type DeviceFacts,
  type TreeEntry,
  type Variant,
} from '@boxship/model';
import { readBaseFacts } from './open-base.ts';
import { engineFiles, fitSocket, socketOptionsOf } from './fit-socket.ts';
import { lockedImages } from './locked-image.ts';
import { openArtifact, originOf, type OpenArtifact } from './open-artifact.ts';
import type { OpenProduct } from './open-product.ts';
import { documentNames } from './release-documents.ts';
import { openRootfsOf, refuseOtherProduct } from './same-product.ts';
import { planStorePartitions } from './store-partitions.ts';
import {
  exchangeFolder,
  writeExchange,
  type ExchangedRelease,
  type ExchangeOptions,
  type ExchangePlan,
} from './write-exchange.ts';

export interface UpdateOptions extends ExchangeOptions {
  /** Name of the variant whose apps it gets. Default: the one that the artifact has. */
  readonly variant?: string;
}

/**
 * A new release out of one that was made before: its store partition holds the apps of today's product file and lock, and
 * every other byte is as it was: vendor, rootfs and data partition. The store partition keeps its place and size.
 * Errors: those of `openArtifact`; OTHER_PRODUCT, OTHER_MACHINE, NO_SOCKET, STORE_FULL, OUTPUT_IS_INPUT, those of the socket
 * and the engine. Nothing is written before all is known to fit.
 */
export async function updateApps(open: OpenProduct, path: string, options: UpdateOptions): Promise<ExchangedRelease> {
  await using artifact = await openArtifact(path, options.publicKeyPem ?? open.publicKeyPem, open);
  const { image, own, release, exchange } = artifact;
  const variant = variantFor(open, artifact, options.variant);
  const folder = await exchangeFolder(options.out, variant, artifact);
  const rootfs = await openRootfsOf(image, variant);
  const facts = await factsOf(artifact, await readBaseFacts(image, rootfs));
  const engine = pick('engine', engines, variant.engine.name);
  const device: EngineDevice = { facts, engine: variant.engine };
  engine.check(device);
  await refuseOtherImageStore(variant, device, artifact);
  const storeBytes = own.store.size;
  const planned = await planStorePartitions(open, variant, lockedImages(open.cache), facts, { storeBytes }).catch(
    (error: unknown) => {
      throw notLarger(error, storeBytes);
    },
  );
  fitSocket(facts, socketOptionsOf(open, variant, device, planned.identity, own.foundAs));
  const wanted = madeTogether(release.variant.artifacts, artifact.format);
  const made = await exchange.planUpdate(
    { variant, rootfs, from: image, file: artifact.file, store: planned.store, signature: planned.signature },
    wanted,
  );
  const plan: ExchangePlan = {
    exchanged: 'apps',
    from: artifact.file.name,
    variant,
    folder: releaseFolder(variant),
    files: [...made.files, ...documentNames(variant)],
    table: made.table,
    rootfs: { partition: rootfs.partition, changes: [] },
    kept: made.table.after.partitions
      .filter(({ role }) => role !== 'store')
      .map(({ number, name, role }) => `partition ${number}${name ? ` "${name}"` : ''} (${role})`),
    warnings: [...engine.warnings(device), ...socketWarnings(facts)].map(formatProblem),
  };
  options.onPlan?.(plan);
  if (options.dryRun) return { plan, folder };
  const { rootfsChanges } = release;
  const prepared = {
    variant,
    plan,
    artifacts: [made],
    rootfsChanges,
    madeFrom: { kept: 'base' as const, ...originOf(artifact) },
  };
  return { plan, folder, release: await writeExchange(open, folder, prepared, options) };
}

/** An update of the apps leaves the rootfs as it is, and with it what keeps the engine to a store. Errors: OTHER_IMAGE_STORE. */
async function refuseOtherImageStore(variant: Variant, device: EngineDevice, { own }: OpenArtifact): Promise<void> {
  const [missing] = engineFiles(variant, device);
  if (!missing) return;
  // beside the rootfs lies what an installer puts over it
  const there = await own.socket?.readText(missing.entry.path, MiB);
  if (there !== undefined && there === (await textOf(missing.entry))) return;
  throw new UserError(
    'OTHER_IMAGE_STORE',
    `the rootfs of the artifact does not keep ${variant.engine.name} to the image store ${device.engine.imageStore ?? 'that its version would choose'}: /${missing.entry.path} would have to change`,
    'Write the imageStore that the artifact was made with, or compose a new image.',
  );
}

async function textOf({ content }: TreeEntry): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content?.source.open() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Today's variant on the base of the artifact, in a store as large as there. */
function variantFor(open: OpenProduct, artifact: OpenArtifact, wanted: string | undefined): Variant {
  const { variant: old } = artifact.release;
  refuseOtherProduct(open, old);
  const [today] = open.variants({ variants: [wanted ?? old.name], machines: [old.machine.name] }) as [Variant];
  if (today.machine.platform !== old.machine.platform) {
    throw new UserError(
      'OTHER_MACHINE',
      `"${old.machine.name}" is ${today.machine.platform} in the product file, ${old.machine.platform} in the artifact`,
      'Compose a new image for it.',
    );
  }
  const { base: _today, ...rest } = today;
  return {
    ...rest,
    ...(old.base ? { base: old.base } : {}),
    store: { ...today.store, size: artifact.own.store.size },
    dataSize: old.dataSize,
    artifacts: madeTogether(old.artifacts, artifact.format).map(({ options }) => options),
  };
}

/** What the device will be: the socket may be beside the rootfs. Errors: NO_SOCKET. */
export async function factsOf({ own }: OpenArtifact, facts: DeviceFacts): Promise<DeviceFacts> {
  const socket = facts.socket ?? (own.socket && (await readDeviceFacts(own.socket)).socket);
  if (socket) return { ...facts, socket, socketVersion: socket.version };
  throw new UserError(
    'NO_SOCKET',
    'the base of the artifact has no device socket that a store could plug into',
    'Compose a new image from its vendor image.',
  );
}

/** The partition cannot grow: behind it lies the data partition, which is not touched. */
function notLarger(error: unknown, size: number): unknown {
  if (!(error instanceof UserError) || error.code !== 'STORE_FULL') return error;
  const hint = `The store partition of the artifact has ${formatByteSize(size)} and keeps its place. Drop an app, lower store.reserve, or compose a new image with a larger store.`;
  return new UserError(error.problems.map((problem) => ({ ...problem, hint })));
}
