import { createHash, createPublicKey } from 'node:crypto';
import {
  bytesSource,
  UserError,
  type BytePath,
  type PartitionTableType,
  type Tree,
  type TreeEntry,
} from '@boxship/model';
import { isInside, mountUnitName, type EngineMount, type EngineSocket } from './engine-socket.ts';
import { readLayerFiles, renderSocketTemplate } from './socket-templates.ts';

/** Version of the contract between a device's socket and a store. A store of ours needs it, or a later one. */
export const socketVersion = 2;

export interface SocketOptions {
  /** The engines whose stores plug in here, each once. */
  readonly engines: readonly EngineSocket[];
  readonly product: string;
  readonly machine: string;
  /** UUIDs of the ext4 filesystems of the two partitions, with dashes: how they are found on an MBR disk. */
  readonly storeUuid: string;
  readonly dataUuid: string;
  readonly tableType: PartitionTableType;
  /** SubjectPublicKeyInfo of the release key (ECDSA P-256), PEM. */
  readonly publicKeyPem: string;
  /** The key is marked as a development key; the device says so at every boot. */
  readonly development: boolean;
  /** Folder of systemd's units: `/lib/systemd/system` where /usr is not merged; default `/usr/lib/systemd/system`. */
  readonly unitDirectory?: string;
  /** Modification time of the files, seconds since 1970; default 0. */
  readonly epoch?: number;
}

export interface SocketFile {
  readonly path: BytePath;
  readonly why: string;
}

export interface SocketFiles {
  /** In the order of their paths; parents are left to the editor of the rootfs, except where their mode matters. */
  readonly entries: readonly TreeEntry[];
  /** The same paths, for the plan, with the reason for each. */
  readonly listing: readonly SocketFile[];
  /** Those of `entries` that are the same for every product: what the recipes of meta-boxship install. */
  readonly ofLayer: Tree;
  /** Those that hold values of the product, the machine or an engine: what a generated layer brings. */
  readonly ofProduct: Tree;
}

/** Why each file of the layer is there, by the start of its path; the longest start counts. */
const REASONS: Readonly<Record<string, string>> = {
  'usr/lib/boxship/apps': 'hands the units of the apps to systemd, and other files to the engine',
  'usr/lib/boxship/device.sh': 'finds our partitions on the root disk',
  'usr/lib/boxship/grow': 'grows the data partition to the end of the disk',
  'usr/lib/boxship/grow-table': 'changes the partition table so that a power cut does no harm',
  'usr/lib/boxship/locate': 'tells udev which partitions are ours',
  'usr/lib/boxship/verify': 'verifies the store before the engine starts',
  'usr/lib/systemd/system-preset/': 'keeps first-boot presets from switching our units off',
  'usr/lib/systemd/system/boxship-apps': 'starts the apps',
  'usr/lib/systemd/system/boxship-grow': 'grows the data partition',
  'usr/lib/systemd/system/boxship-verify': 'verifies the store before the engine starts',
  'usr/lib/systemd/system/dev-': 'limits the wait for our partitions to 10 s',
  'usr/lib/systemd/system/run-': 'mounts our partition',
  'usr/lib/udev/': 'makes the links /dev/boxship/store and /dev/boxship/data',
};

const UNITS = 'usr/lib/systemd/system';
/** Units of the layer that `multi-user.target` pulls in. The verification is pulled in by the engines and the apps. */
export const wantedUnits = ['boxship-apps.service', 'boxship-grow.service'] as const;

interface Placed {
  readonly entry: TreeEntry;
  readonly why: string;
}

/**
 * The files that give a rootfs the device socket of docs/design.md section 6, ready for `planExt4Edit` and for a Yocto layer.
 * Errors: BAD_SOCKET_VALUE for a key or UUID that is none.
 */
export function socketFiles(options: SocketOptions): SocketFiles {
  const { unitDirectory = `/${UNITS}`, epoch = 0 } = options;
  const common = { uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
  // templates stand at the paths of a merged /usr; elsewhere systemd's and udev's folders are below /lib
  const onDevice = (path: BytePath) =>
    unitDirectory === `/${UNITS}` ? path : path.replace(/^usr\/(lib\/(?:systemd|udev)\/)/, '$1');

  const file = (path: BytePath, text: string, why: string): Placed => {
    const bytes = Buffer.from(text);
    const source = bytesSource(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes);
    const mode = text.startsWith('#!') ? 0o755 : 0o644;
    return { entry: { ...common, path: onDevice(path), type: 'file', mode, size: bytes.length, content: { source, offset: 0 } }, why };
  }; // prettier-ignore
  const folder = (path: string, mode: number, why: string): Placed => ({
    entry: { ...common, path: path.slice(1), type: 'directory', mode, size: 0 },
    why,
  });

  const ofLayer = Object.entries(readLayerFiles()).map(([path, text]) => file(path, text, reasonOf(path)));
  for (const unit of wantedUnits) {
    const path = onDevice(`${UNITS}/multi-user.target.wants/${unit}`);
    const entry: TreeEntry = { ...common, path, type: 'symlink', mode: 0o777, size: 0, link: `../${unit}` };
    ofLayer.push({ entry, why: 'switches the unit on' });
  }
  const ofProduct = [
    ...productFiles(options).map(([path, text, why]) => file(path, text, why)),
    ...engineFolders(options.engines).map(([path, mode, why]) => folder(path, mode, why)),
  ];
  const all = sorted([...ofLayer, ...ofProduct]);
  const treeOf = (placed: readonly Placed[]): Tree => ({ entries: () => sorted(placed).map(({ entry }) => entry) });
  return {
    entries: all.map(({ entry }) => entry),
    listing: all.map(({ entry: { path }, why }) => ({ path, why })),
    ofLayer: treeOf(ofLayer),
    ofProduct: treeOf(ofProduct),
  };
}

function sorted(placed: readonly Placed[]): readonly Placed[] {
  return [...placed].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
}

type TextFile = readonly [path: BytePath, text: string, why: string];

function productFiles(options: SocketOptions): TextFile[] {
  const { engines, product, machine, development } = options;
  const mounts = engines.flatMap((engine) => engine.mounts);
  const values = {
    ...checkedValues(options),
    socketVersion,
    product: JSON.stringify(product),
    machine: JSON.stringify(machine),
    development: String(development),
    binds: mounts.map(({ at }) => mountUnitName(at)).join(' '),
    dataFolders: mounts
      .filter(({ from }) => from === 'data')
      .map(({ folder, mode }) => `${folder}:${octal(mode)}`)
      .join(' '),
    appFolders: engines
      .flatMap(({ appFolders = [] }) => appFolders.map(({ folder, at }) => `${folder}:${at}`))
      .join(' '),
    writable: [...new Set(engines.flatMap(({ writable = [] }) => writable))].join(' '),
  };
  const files = ['socket.env', 'socket.json', 'store.pem'].map((name): TextFile => {
    const path = `usr/lib/boxship/${name}`;
    const why = name === 'store.pem' ? 'the key that the store is verified with' : 'says which socket this is';
    return [path, renderSocketTemplate(path, values), why];
  });
  if (engines.length > 0 && engines.every(({ storeIsReadOnly }) => storeIsReadOnly)) {
    const path = `${UNITS}/run-boxship-store.mount.d/10-boxship.conf`;
    files.push([path, renderSocketTemplate(path, {}), 'mounts the store partition read-only']);
  }
  for (const mount of mounts) {
    const path = `${UNITS}/${mountUnitName(mount.at)}`;
    files.push([path, mountUnit(mount, mounts), "puts the store in the engine's place"]);
    for (const name of mount.unmounted ?? []) {
      files.push([`${mount.at.slice(1)}/${name}`, '', 'lets the engine start where no store is mounted']);
    }
  }
  const units = new Map<string, Set<string>>(); // engines may share one, as docker and containerd do
  for (const { name, after = [] } of engines.flatMap((engine) => engine.units)) {
    const known = units.get(name) ?? new Set();
    for (const path of after) known.add(mountUnitName(path));
    units.set(name, known);
  }
  for (const [unit, after] of units) {
    const text = renderSocketTemplate(`${UNITS}/[unit].d/10-boxship.conf`, { mounts: [...after].join(' ') });
    const why = 'part of the engine start: the store must be verified first';
    files.push([`${UNITS}/${unit}.d/10-boxship.conf`, text, why]);
  }
  return files;
}

function mountUnit({ from, folder, at, description }: EngineMount, mounts: readonly EngineMount[]): string {
  const around = mounts.filter((other) => other.at !== at && isInside(at, other.at));
  const needs = [`run-boxship-${from}.mount`, ...around.map((other) => mountUnitName(other.at))];
  return renderSocketTemplate(`${UNITS}/[mount].mount`, {
    description,
    needs: needs.join(' '),
    what: `/run/boxship/${from}/${folder}`,
    where: at,
  });
}

/** Folders that must be in the rootfs: a read-only one cannot get them later. */
function engineFolders(engines: readonly EngineSocket[]): (readonly [path: string, mode: number, why: string])[] {
  const mounts = engines.flatMap((engine) => engine.mounts);
  const points = mounts.filter(({ at }) => !mounts.some((other) => other.at !== at && isInside(at, other.at)));
  const writable = new Set(engines.flatMap((engine) => engine.writable ?? []));
  return [
    ...points.map(({ at, mode }) => [at, mode, 'a mount point; it must exist where the root is read-only'] as const),
    ...[...writable].map((path) => [path, 0o755, 'the engine writes here; it must exist where the root is read-only'] as const),
  ];
} // prettier-ignore

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function checkedValues({ storeUuid, dataUuid, tableType, publicKeyPem }: SocketOptions) {
  for (const uuid of [storeUuid, dataUuid]) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) throw badValue(`"${uuid}" is not a UUID in lower case`);
  }
  return { storeUuid, dataUuid, tableType, publicKeyPem: normalKey(publicKeyPem) };
} // prettier-ignore

/** The same key, always in the same bytes. */
function normalKey(pem: string): string {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ec') return key.export({ type: 'spki', format: 'pem' }).toString().trim();
  } catch {
    // told below
  }
  throw badValue('the public key for the device is not an elliptic-curve key in PEM');
}

function badValue(message: string): UserError {
  return new UserError('BAD_SOCKET_VALUE', message);
}

function reasonOf(path: BytePath): string {
  const starts = Object.keys(REASONS).filter((start) => path.startsWith(start));
  const longest = starts.reduce((best, start) => (start.length > best.length ? start : best), '');
  return REASONS[longest] ?? 'part of the device socket';
}
