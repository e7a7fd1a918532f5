import { parsePublicKey } from 'cosign-node-binding';
import {
  checkSocketNeeds,
  mountUnitName,
  socketFiles,
  socketVersion,
  type SocketFiles,
  type SocketOptions,
} from '@boxship/device-socket';
import { engines, type Engine, type EngineDevice, type EngineFile } from '@boxship/engines';
import { pick, UserError, type DeviceFacts, type PartitionTableType, type Variant } from '@boxship/model';
import type { OpenProduct } from './open-product.ts';
import type { StorePartitions } from './store-partitions.ts';

/**
 * What the rootfs needs so that a store of ours plugs in: nothing when it has a device socket, which then must be the one
 * that this variant would get, or one for stores of the version `needed`. Errors: SOCKET_TOO_OLD, SOCKET_MISMATCH, naming what the socket has and what is needed; those
 * of `checkSocketNeeds` and `socketFiles`.
 */
export function fitSocket(
  facts: DeviceFacts,
  options: SocketOptions,
  needed = socketVersion,
): Pick<SocketFiles, 'entries' | 'listing'> {
  const { socket } = facts;
  if (!socket) {
    checkSocketNeeds(facts);
    return socketFiles(options);
  }
  if (socket.version < needed) {
    throw new UserError(
      'SOCKET_TOO_OLD',
      `the base image has a device socket of version ${socket.version}; this store needs version ${needed}`,
      'Build the base image with a newer meta-boxship, or use one without a socket.',
    );
  }
  const differences = [
    ['the public key', keyIdOf(socket.publicKeyPem), keyIdOf(options.publicKeyPem)],
    ['the partition table', socket.tableType, options.tableType],
    ['the UUID of the store', socket.storeUuid, options.storeUuid],
    ['the UUID of the data', socket.dataUuid, options.dataUuid],
    ['the mounts of the engine', ...mountUnits(socket.binds, options)],
  ].filter(([, has, needs]) => has !== needs);
  if (differences.length === 0) return { entries: [], listing: [] };
  throw new UserError(
    differences.map(([what, has, needs]) => ({
      code: 'SOCKET_MISMATCH',
      message: `the device socket of the base image expects another store: ${what}: ${has || 'missing'} there, and ${needs} here`,
      hint: 'Use a base image that was built for this product, machine and signing key, or one without a device socket.',
    })),
  );
}

/** What the rootfs of a device gets: the socket, as `fitSocket` says, and what keeps the engine to the store. */
export function deviceFiles(
  open: Pick<OpenProduct, 'publicKeyPem'>,
  variant: Variant,
  device: EngineDevice,
  identity: StorePartitions['identity'],
  tableType: PartitionTableType,
  needed: number = socketVersion,
): ReturnType<typeof fitSocket> {
  const options = socketOptionsOf(open, variant, device, identity, tableType);
  const { entries, listing } = fitSocket(device.facts, options, needed);
  const files = engineFiles(variant, device);
  if (files.length === 0) return { entries, listing };
  const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1);
  return {
    entries: [...entries, ...files.map(({ entry }) => entry)].sort(byPath),
    listing: [...listing, ...files.map(({ entry: { path }, why }) => ({ path, why }))].sort(byPath),
  };
}

/** Files of the rootfs that keep the engine to the store. */
export function engineFiles({ engine, epoch }: Variant, device: EngineDevice): readonly EngineFile[] {
  const { configuration }: Engine = pick('engine', engines, engine.name);
  return configuration?.(device, { epoch }) ?? [];
}

/** The socket that a variant's store plugs into on a device. */
export function socketOptionsOf(
  { publicKeyPem }: Pick<OpenProduct, 'publicKeyPem'>,
  variant: Variant,
  device: EngineDevice,
  identity: StorePartitions['identity'],
  tableType: PartitionTableType,
): SocketOptions {
  return {
    engines: [pick('engine', engines, variant.engine.name).socket(device)],
    unitDirectory: device.facts.unitDirectory,
    product: variant.product,
    machine: variant.machine.name,
    storeUuid: identity('store'),
    dataUuid: identity('data'),
    tableType,
    publicKeyPem,
    development: variant.signing.development,
    epoch: variant.epoch,
  };
}

/** What the socket has and what the engines need, equal when it has all of that: it may serve other engines too. */
function mountUnits(binds: readonly string[], { engines }: SocketOptions): readonly [has: string, needs: string] {
  const needed = engines.flatMap(({ mounts }) => mounts.map(({ at }) => mountUnitName(at)));
  const needs = needed.join(' ');
  return [needed.every((unit) => binds.includes(unit)) ? needs : binds.join(' '), needs];
}

/** The key that a PEM holds, however it is written. */
function keyIdOf(pem: string): string {
  try {
    return parsePublicKey(pem).keyId;
  } catch {
    return 'unreadable';
  }
}
