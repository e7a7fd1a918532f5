import { createPublicKey } from 'node:crypto';
import Handlebars from 'handlebars';
import {
  bytesSource,
  UserError,
  type BytePath,
  type DeviceFacts,
  type PartitionTableType,
  type TreeEntry,
} from '@boxship/model';
import { checkSocketNeeds } from './device-checks.ts';
import { loadSocketTemplates } from './socket-templates.ts';

/** Version of the contract between a device's socket and a store. A socket accepts stores of its own and lower versions. */
export const socketVersion = 1;

export interface SocketOptions {
  readonly facts: DeviceFacts;
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
}

/** Why each file is there, by the start of its path; the longest start counts. */
const REASONS: Readonly<Record<string, string>> = {
  'usr/lib/boxship/apps': 'hands the units of the apps to systemd',
  'usr/lib/boxship/device.sh': 'finds our partitions on the root disk',
  'usr/lib/boxship/grow': 'grows the data partition to the end of the disk',
  'usr/lib/boxship/grow-table': 'changes the partition table so that a power cut does no harm',
  'usr/lib/boxship/locate': 'tells udev which partitions are ours',
  'usr/lib/boxship/socket.': 'says which socket this is',
  'usr/lib/boxship/store.pem': 'the key that the store is verified with',
  'usr/lib/boxship/verify': 'verifies the store before the engine starts',
  'usr/lib/systemd/system-preset/': 'keeps first-boot presets from switching our units off',
  'usr/lib/systemd/system/': 'part of the engine start: the store must be verified first',
  'usr/lib/systemd/system/boxship-apps': 'starts the apps',
  'usr/lib/systemd/system/boxship-grow': 'grows the data partition',
  'usr/lib/systemd/system/boxship-verify': 'verifies the store before the engine starts',
  'usr/lib/systemd/system/dev-': 'limits the wait for our partitions to 10 s',
  'usr/lib/systemd/system/multi-user.target.wants/': 'switches the unit on',
  'usr/lib/systemd/system/run-': 'mounts our partition',
  'usr/lib/systemd/system/var-': "puts the store in the engine's place",
  'usr/lib/udev/': 'makes the links /dev/boxship/store and /dev/boxship/data',
  'var/lib/': 'a mount point; it must exist where the root is read-only',
  'etc/docker': 'the engine writes its key here; it must exist where the root is read-only',
};

/** Units that `multi-user.target` pulls in. The verification is pulled in by the engines and the apps. */
const WANTED = ['boxship-apps.service', 'boxship-grow.service'];

/**
 * The files that give a rootfs the device socket of docs/design.md section 6, ready for `editExt4`.
 * Errors: those of `checkSocketNeeds`; BAD_SOCKET_VALUE for a key or UUID that is none.
 */
export async function socketFiles(options: SocketOptions): Promise<SocketFiles> {
  const { facts, epoch = 0 } = options;
  checkSocketNeeds(facts);
  const values = templateValues(options);
  const common = { uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
  const hasContainerd = facts.engines.some((engine) => engine.name === 'containerd');
  const entries: TreeEntry[] = [];
  for (const [template, text] of Object.entries(loadSocketTemplates())) {
    if (template.endsWith('/var-lib-containerd.mount') && !hasContainerd) continue;
    const content = Handlebars.compile(text, { noEscape: true, strict: true, preventIndent: true })(values);
    const bytes = Buffer.from(content);
    const path = placeOnDevice(template, facts);
    const mode = content.startsWith('#!') ? 0o755 : 0o644;
    const source = bytesSource(`socket:${path}`, bytes);
    entries.push({ ...common, path, type: 'file', mode, size: bytes.length, content: { source, offset: 0 } });
  }
  for (const unit of WANTED) {
    const path = placeOnDevice(`usr/lib/systemd/system/multi-user.target.wants/${unit}`, facts);
    entries.push({ ...common, path, type: 'symlink', mode: 0o777, size: 0, link: `../${unit}` });
  }
  const folder = (path: string, mode: number) => entries.push({ ...common, path, type: 'directory', mode, size: 0 });
  folder('var/lib/docker', 0o710);
  if (hasContainerd) folder('var/lib/containerd', 0o711);
  folder('etc/docker', 0o755);
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries, listing: entries.map(({ path }) => ({ path, why: reasonOf(path) })) };
}

function templateValues({ facts, product, machine, storeUuid, dataUuid, tableType, publicKeyPem, development }: SocketOptions) {
  for (const uuid of [storeUuid, dataUuid]) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) throw badValue(`"${uuid}" is not a UUID in lower case`);
  }
  const binds = ['var-lib-docker.mount', 'var-lib-docker-volumes.mount'];
  if (facts.engines.some((engine) => engine.name === 'containerd')) binds.push('var-lib-containerd.mount');
  return {
    socketVersion,
    product: JSON.stringify(product),
    machine: JSON.stringify(machine),
    development: String(development),
    tableType,
    storeUuid,
    dataUuid,
    binds: binds.join(' '),
    publicKeyPem: normalKey(publicKeyPem),
  };
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

/** Templates stand at the paths of a merged /usr; elsewhere systemd's and udev's folders are below /lib. */
function placeOnDevice(template: string, facts: DeviceFacts): BytePath {
  if (facts.unitDirectory === '/usr/lib/systemd/system') return template;
  return template.replace(/^usr\/(lib\/(?:systemd|udev)\/)/, '$1');
}

function reasonOf(path: BytePath): string {
  const merged = path.replace(/^lib\//, 'usr/lib/');
  const starts = Object.keys(REASONS).filter((start) => merged.startsWith(start));
  const longest = starts.reduce((best, start) => (start.length > best.length ? start : best), '');
  return REASONS[longest] ?? 'part of the device socket';
}
