import { join } from 'node:path';
import { writeTar } from '@boxship/filesystem';
import { formatByteSize, MiB, UserError, type Tree, type Variant } from '@boxship/model';
import {
  changesOf,
  type ArtifactRelease,
  type DeviceLayout,
  type PlannedArtifact,
  type PlannedPartition,
  type RootfsChange,
} from '../artifact-format.ts';
import { planPayload, type PayloadPart, type PayloadPlan } from '../payload.ts';
import { editedEntries } from '../rootfs-with-socket.ts';
import { composeImageJson, OWN_FILES, type TeziFields } from './compose-image-json.ts';
import type { OwnFile } from './own-files.ts';
import { findTeziRootfs, type TeziRootfs } from './find-rootfs.ts';
import type { TeziPartition } from './image-json.ts';
import { openArchive, planArchive, type ArchivePart, type ArchivePlan } from './tezi-archive.ts';
import { IMAGE_JSON } from './tezi-folder.ts';
import type { TeziImage } from './tezi-image.ts';

/** Our partitions as parts of an archive. Sizes in bytes. */
export interface OwnParts {
  /** Files of the product that the options name. */
  readonly files: readonly OwnFile[];
  /** Of the store's file system. */
  readonly storeBytes: number;
  readonly store: ArchivePart;
  /** Of the data partition as shipped, and what its archive unpacks to. */
  readonly dataBytes: number;
  readonly dataContentBytes: number;
  readonly data: ArchivePart;
  /** What of the store at `start` does not depend on the signing key, when that is known. */
  readonly payload?: (start: number) => readonly PayloadPart[] | undefined;
}

/** The installer makes an MBR unless it is told otherwise. */
const MBR_PRIMARIES = 4;

/** The vendor's image with our partitions beside its own. */
export async function planOnTezi(
  release: Pick<ArtifactRelease, 'variant' | 'base' | 'rootfs' | 'identity' | 'socket'>,
  fields: TeziFields,
  own: OwnParts,
): Promise<PlannedArtifact> {
  const { variant } = release;
  const { epoch } = variant;
  const { image, rootfs } = installable(release, own.files);
  // the installer gives partitions no names that could be chosen: they are found by their file systems
  const socket = release.socket('mbr');
  const edits = socket.entries.length > 0 ? await release.rootfs.planEdit(socket.entries, { epoch }) : [];
  const placed = editedEntries(edits);
  const files: Tree = { entries: () => placed };
  const socketTar = socket.entries.length > 0 ? await tarOf(files) : undefined;
  const json = composeImageJson(image, rootfs, {
    fields,
    files: own.files,
    product: variant.product,
    version: variant.version,
    epoch,
    ...(socketTar ? { socketBytes: unpackedSize(files) } : {}),
    storeBytes: own.storeBytes,
    dataBytes: own.dataBytes,
    dataContentBytes: own.dataContentBytes,
    dataUuid: release.identity('data'),
  });
  const provisioned = own.files.reduce((sum, { unpacked }) => sum + (unpacked?.bytes ?? 0), 0);
  refuseFullRootfs(image, rootfs, (socketTar ? unpackedSize(files) : 0) + provisioned);
  const parts: readonly ArchivePart[] = [
    bytesPart(IMAGE_JSON, Buffer.from(json)), // first, as Toradex's build has it: it is found without reading on
    ...vendorParts(image),
    ...(socketTar ? [bytesPart(OWN_FILES.socket, socketTar)] : []),
    ...own.files.map(({ name, bytes }) => bytesPart(name, bytes)),
    own.data,
    own.store,
  ];
  const changes = changesOf(edits, socket);
  return {
    ...plannedArchive(variant, parts, (archive) => payloadOf(archive, own, variant, changes)),
    table: layouts(image, rootfs, own),
    changes,
    warnings: warningsOf(image, rootfs),
  };
}

/** The vendor's files are in the digest of the base, the socket holds the key: all else of the archive. */
function payloadOf(
  { parts }: ArchivePlan,
  { store, data, files, payload }: OwnParts,
  variant: Variant,
  changes: readonly RootfsChange[],
): PayloadPlan | undefined {
  const counted = new Set([IMAGE_JSON, data.name, ...files.map(({ name }) => name)]);
  const all = parts.flatMap(({ part, start }): readonly (PayloadPart | undefined)[] => {
    if (part.name === store.name) return payload?.(start) ?? [undefined];
    return counted.has(part.name) ? [wholePart(part.name, start, part.size)] : [];
  });
  const known = all.filter((part) => part !== undefined);
  return known.length === all.length ? planPayload(variant, changes, known) : undefined;
}

export function wholePart(name: string, start: number, size: number): PayloadPart {
  return { name, ranges: [{ start, end: start + size }] };
}

export function bytesPart(name: string, bytes: Uint8Array): ArchivePart {
  return { name, size: bytes.length, bytes };
}

/** Files that are in an image already, as they are. */
export function vendorParts({ files, folder }: TeziImage): readonly ArchivePart[] {
  return files.map(({ name, size }) => ({ name, size, path: join(folder, name) }));
}

/** What is the same for every archive that is written. */
export function plannedArchive(
  variant: Variant,
  parts: readonly ArchivePart[],
  payloadOfArchive: (archive: ArchivePlan) => PayloadPlan | undefined = () => undefined,
): Pick<PlannedArtifact, 'files' | 'bytesToWrite' | 'vendorBytes' | 'sources' | 'open'> {
  const name = bundleName(variant);
  const archive = planArchive(name, parts, variant.epoch);
  const file = `${name}.tezi.tar`;
  return {
    files: [file],
    bytesToWrite: archive.size,
    vendorBytes: parts.reduce((sum, part) => sum + ('path' in part ? part.size : 0), 0),
    sources: parts.flatMap((part) => ('filesystem' in part ? part.filesystem.sources() : [])),
    open: (folder, { signal } = {}) => openArchive(folder, file, archive, payloadOfArchive(archive), signal),
  };
}

function bundleName({ product, version, machine, name }: Variant): string {
  return `${product}-${version}-${machine.name}-${name}`;
}

/**
 * The vendor's image, when our partitions can be added to it.
 * Errors: BASE_IS_NO_TEZI, TEZI_NAND, TEZI_OWN_FILE, TEZI_MBR_FULL.
 */
function installable(
  { base, variant }: Pick<ArtifactRelease, 'base' | 'variant'>,
  files: readonly OwnFile[],
): { readonly image: TeziImage; readonly rootfs: TeziRootfs } {
  const image = base.tezi;
  if (!image) {
    throw new UserError(
      'BASE_IS_NO_TEZI',
      'the base image is that of a disk, not one for Toradex Easy Installer: the artifact "tezi" cannot be made of it',
      'Give the vendor\'s folder or archive with image.json, or ask for "artifacts: [raw]".',
    );
  }
  const rootfs = findTeziRootfs(image, variant.machine.rootfs);
  const [kind, i] = rootfs.path as [string, number];
  const where = image.locate(rootfs.path);
  if (kind !== 'blockdevs') {
    throw new UserError(
      'TEZI_NAND',
      `the rootfs is in NAND (${rootfs.device}), where a store cannot have a partition of its own`,
      'Use a module with eMMC. A store for UBI is not written yet.',
      where,
    );
  }
  refuseOwnFiles(image, [...Object.values(OWN_FILES), ...files.map(({ name }) => name)]);
  const device = image.json.blockdevs![i]!;
  const partitions = device.partitions!;
  if (device.table_type !== 'gpt' && partitions.length + 2 > MBR_PRIMARIES) {
    throw new UserError(
      'TEZI_MBR_FULL',
      `${device.name} has ${partitions.length} partitions, and an MBR has room for ${MBR_PRIMARIES}: 2 more do not fit`,
      'Ask the vendor for an image with a partition less, or with "table_type": "gpt".',
      where,
    );
  }
  return { image, rootfs };
}

/** Errors: TEZI_OWN_FILE for a file of the vendor that has a name of ours. */
export function refuseOwnFiles({ files }: TeziImage, names: readonly string[]): void {
  const own = names.find((name) => files.some((file) => file.name === name));
  if (own === undefined) return;
  throw new UserError(
    'TEZI_OWN_FILE',
    `the base image holds ${own} already: it seems to be a composed one`,
    'Give the vendor image itself.',
  );
}

/** Where the installer makes the rootfs no larger than asked, all of it must fit. Errors: TEZI_ROOTFS_FULL. */
export function refuseFullRootfs(image: TeziImage, rootfs: TeziRootfs, added: number): void {
  const [kind, i, , j] = rootfs.path as [string, number, string, number];
  if (kind !== 'blockdevs') return; // UBIFS compresses: nobody can tell
  const { partition_size_nominal, want_maximised, content } = image.json.blockdevs![i]!.partitions![j]!;
  const used = Number(content?.uncompressed_size ?? 0) + added / MiB;
  if (want_maximised === true || used <= Number(partition_size_nominal)) return;
  throw new UserError(
    'TEZI_ROOTFS_FULL',
    `the rootfs unpacks to ${used.toFixed(2)} MiB with what is added, its partition has ${String(partition_size_nominal)} MiB`,
    'Ask the vendor for a larger "partition_size_nominal", or for "want_maximised".',
    image.locate(rootfs.path),
  );
}

export async function tarOf(tree: Tree): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(tree)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Blocks that the tree takes in a file system with blocks of 4 KiB. */
export function unpackedSize(tree: Tree): number {
  let blocks = 0;
  for (const { type, size } of tree.entries()) blocks += type === 'directory' ? 1 : Math.ceil(size / 4096);
  return blocks * 4096;
}

function layouts(image: TeziImage, rootfs: TeziRootfs, { storeBytes, dataBytes }: OwnParts): PlannedArtifact['table'] {
  const { type, layout: before } = layoutOfVendor(image, rootfs);
  const own = (['store', 'data'] as const).map((role, j): PlannedPartition => ({
    number: before.partitions.length + 1 + j,
    size: Math.ceil((role === 'store' ? storeBytes : dataBytes) / MiB) * MiB,
    type: type === 'gpt' ? '' : '83',
    name: `boxship-${role}`,
    role,
  }));
  return { type, before, after: layoutOf([...before.partitions, ...own]) };
}

/** The vendor's partitions of the device with the rootfs; the volumes of NAND, whose sizes only the installer knows. */
export function layoutOfVendor(
  { json }: TeziImage,
  rootfs: TeziRootfs,
): { readonly type: PlannedArtifact['table']['type']; readonly layout: DeviceLayout } {
  const [kind, i] = rootfs.path as [string, number];
  if (kind !== 'blockdevs') {
    const volumes = json.mtddevs![i]!.ubivolumes!.map(({ name }, j): PlannedPartition => ({
      ...{ number: j + 1, size: 0, type: '', name },
      role: j + 1 === rootfs.partition ? 'rootfs' : 'vendor',
    })); // prettier-ignore
    return { type: 'mbr', layout: layoutOf(volumes) };
  }
  const device = json.blockdevs![i]!;
  const partitions = device.partitions!.map(
    ({ partition_size_nominal, partition_type, content }: TeziPartition, j): PlannedPartition => ({
      number: j + 1,
      size: Number(partition_size_nominal) * MiB,
      type: partition_type ?? '',
      ...(content?.label ? { name: content.label } : {}),
      role: j + 1 === rootfs.partition ? 'rootfs' : 'vendor',
    }),
  );
  return { type: device.table_type === 'gpt' ? 'gpt' : 'mbr', layout: layoutOf(partitions) };
}

function layoutOf(partitions: readonly PlannedPartition[]): DeviceLayout {
  return { size: partitions.reduce((sum, { size }) => sum + size, 0), partitions };
}

function warningsOf(image: TeziImage, rootfs: TeziRootfs): readonly string[] {
  const [, i, , j] = rootfs.path as [string, number, string, number];
  const { partitions, name } = image.json.blockdevs![i]!;
  const { want_maximised, partition_size_nominal } = partitions![j]!;
  if (want_maximised !== true) return [];
  const least = formatByteSize(Number(partition_size_nominal) * MiB);
  return [
    `rootfs and data are both to fill ${name}: the installer shares what is left in equal parts (rootfs: ${least} at least)`,
  ];
}
