import { UserError, formatByteSize, type RandomWriter } from '@boxship/model';
import { directoryBytes, directoryEntryCount, ENTRY, type FatName } from './fat-directory.ts';

// "FAT: General Overview of On-Disk Format" 1.03 (Microsoft): BPB, FAT type determination, long names.

/** A file or folder of a FAT file system to be made. */
export interface FatNode {
  readonly name: string;
  /** Of a folder. */
  readonly children?: readonly FatNode[];
  /** Of a file: bytes, and how they are read. */
  readonly size?: number;
  open?(): AsyncIterable<Uint8Array>;
}

export interface FatOptions {
  /** Bytes of the file system. */
  readonly size: number;
  /** At most 11 characters of ASCII; upper case. */
  readonly label: string;
  /** Eight hex digits. */
  readonly volumeId: string;
  /** Seconds since 1970, for all times; 1980 at least. */
  readonly epoch: number;
  /** 16 or 32; by default 32 from 512 MiB on, as mkfs.fat does, or where 16 has not enough clusters. */
  readonly bits?: 16 | 32;
}

/** A FAT file system whose every cluster has its place. */
export interface FatPlan {
  readonly sizeBytes: number;
  /** Writes all of it; what is not written must read as zeros. */
  write(target: RandomWriter): Promise<void>;
}

const SECTOR = 512;
const ROOT_ENTRIES_16 = 512;
const MIN_CLUSTERS_32 = 65525;
const MIN_CLUSTERS_16 = 4085;
const END_OF_CHAIN = 0x0fffffff;

interface Geometry {
  readonly bits: 16 | 32;
  readonly reserved: number;
  readonly perCluster: number;
  readonly fatSectors: number;
  readonly rootSectors: number;
  readonly clusters: number;
  /** Byte of cluster 2. */
  readonly data: number;
}

/** A run of clusters of one file or folder. */
interface Placed {
  readonly node: FatNode;
  readonly name: FatName;
  readonly parent: Placed | undefined;
  readonly first: number;
  readonly count: number;
  readonly children: readonly Placed[];
}

/**
 * Lays out a FAT16 or FAT32 with these files; equal inputs give equal bytes. Errors: FAT_TOO_SMALL, FAT_FULL, FAT_BAD_NAME.
 */
export function planFat(files: readonly FatNode[], options: FatOptions): FatPlan {
  const { size, epoch } = options;
  const geometry = chooseGeometry(options);
  const clusterBytes = geometry.perCluster * SECTOR;
  let next = 2;
  const take = (bytes: number) => {
    const first = next;
    next += Math.ceil(bytes / clusterBytes);
    return { first: bytes === 0 ? 0 : first, count: next - first };
  };
  const place = (node: FatNode, name: FatName, parent: Placed | undefined): Placed => {
    if (!node.children) return { node, name, parent, children: [], ...take(node.size ?? 0) };
    const placed = {
      node,
      name,
      parent,
      ...take(directoryEntryCount(node.children, 2) * ENTRY),
      children: [] as Placed[],
    };
    placed.children = placeAll(node.children, placed);
    return placed;
  };
  const placeAll = (nodes: readonly FatNode[], parent: Placed | undefined): Placed[] =>
    nodes.map((node) => place(node, { long: node.name }, parent));
  // FAT32 has its root in clusters; FAT16 before them
  const rootEntries = directoryEntryCount(files, 1);
  if (geometry.bits === 16 && rootEntries > ROOT_ENTRIES_16) {
    throw new UserError('FAT_FULL', `the root folder of a FAT16 has ${ROOT_ENTRIES_16} entries, ${rootEntries} are needed`, 'Put files into folders, or make the partition larger: from 512 MiB on it is a FAT32.'); // prettier-ignore
  }
  const root = geometry.bits === 32 ? take(rootEntries * ENTRY) : { first: 0, count: 0 };
  const placed = placeAll(files, undefined);
  const free = geometry.clusters - (next - 2);
  if (free < 0) {
    throw new UserError(
      'FAT_FULL',
      `the files need ${formatByteSize((next - 2) * clusterBytes)}, the FAT file system of ${formatByteSize(size)} has room for ${formatByteSize(geometry.clusters * clusterBytes)}`,
      'Make the partition larger.',
    );
  }
  return {
    sizeBytes: size,
    async write(target) {
      await writeFrame(target, geometry, options, { root: root.first, free, next });
      await writeTables(target, geometry, [root, ...flatten(placed)]);
      const clusterAt = (cluster: number) => geometry.data + (cluster - 2) * clusterBytes;
      const rootAt = geometry.bits === 32 ? clusterAt(root.first) : geometry.data - geometry.rootSectors * SECTOR;
      await target.write(rootAt, directoryBytes(placed.map(entryOf), { epoch, label: options.label }));
      for (const one of flatten(placed)) {
        if (one.node.children) {
          const parent = one.parent?.first ?? 0; // a folder of the root says 0, whatever the root's cluster is
          await target.write(clusterAt(one.first), directoryBytes(one.children.map(entryOf), { epoch, self: one.first, parent })); // prettier-ignore
        } else if (one.count > 0) await writeContent(target, clusterAt(one.first), one.node);
      }
    },
  };
}

function entryOf({ node, name, first }: Placed) {
  return { name, first, size: node.children ? 0 : (node.size ?? 0), isFolder: node.children !== undefined };
}

function flatten(placed: readonly Placed[]): Placed[] {
  return placed.flatMap((one) => [one, ...flatten(one.children)]);
}

async function writeContent(target: RandomWriter, at: number, { name, size = 0, open }: FatNode): Promise<void> {
  let written = 0;
  for await (const chunk of open?.() ?? []) {
    if (written + chunk.length > size) throw new Error(`${name} has more than ${size} bytes`);
    await target.write(at + written, chunk);
    written += chunk.length;
  }
  if (written !== size) throw new Error(`${name} ends at ${written}, ${size - written} bytes too early`);
}

/** Clusters as mkfs.fat chooses them: of 512 bytes up to 32 KiB, as small as the kind of FAT allows. */
function chooseGeometry({ size, bits }: FatOptions): Geometry {
  const wanted = bits ?? (size >= 512 * 1024 * 1024 ? 32 : 16);
  const sectors = Math.floor(size / SECTOR);
  const start = wanted === 32 ? clusterOf32(size) : clusterOf16(size);
  for (let perCluster = start; perCluster <= 64; perCluster *= 2) {
    const geometry = geometryOf(sectors, perCluster, wanted);
    if (wanted === 16 && geometry.clusters >= MIN_CLUSTERS_32 - 9) continue;
    const least = wanted === 32 ? MIN_CLUSTERS_32 : MIN_CLUSTERS_16;
    if (geometry.clusters < least + 9) break; // readers disagree by a few about the limit
    return geometry;
  }
  throw new UserError(
    'FAT_TOO_SMALL',
    `${formatByteSize(size)} are no FAT${wanted}`,
    wanted === 32 ? 'A FAT32 has 33 MiB at least.' : 'Give the partition 3 MiB at least.',
  );
}

function clusterOf16(size: number): number {
  return size < 32 * 1024 * 1024 ? 1 : 4;
}

function clusterOf32(size: number): number {
  return size <= 260 * 1024 * 1024 ? 1 : 8;
}

function geometryOf(sectors: number, perCluster: number, bits: 16 | 32): Geometry {
  const reserved = bits === 32 ? 32 : perCluster;
  const rootSectors = bits === 32 ? 0 : (ROOT_ENTRIES_16 * ENTRY) / SECTOR;
  let fatSectors = 1;
  let clusters = 0;
  for (;;) {
    clusters = Math.floor((sectors - reserved - rootSectors - 2 * fatSectors) / perCluster);
    const needed = Math.ceil(((clusters + 2) * (bits / 8)) / SECTOR);
    if (needed <= fatSectors) break;
    fatSectors = needed;
  }
  return { bits, reserved, perCluster, fatSectors, rootSectors, clusters, data: (reserved + 2 * fatSectors + rootSectors) * SECTOR }; // prettier-ignore
}

async function writeFrame(
  target: RandomWriter,
  { bits, reserved, perCluster, fatSectors }: Geometry,
  { size, label, volumeId }: FatOptions,
  { root, free, next }: { readonly root: number; readonly free: number; readonly next: number },
): Promise<void> {
  const boot = Buffer.alloc(SECTOR);
  boot.set([0xeb, bits === 32 ? 0x58 : 0x3c, 0x90]);
  boot.write('mkfs.fat', 3, 'latin1'); // what old readers trust
  boot.writeUInt16LE(SECTOR, 11);
  boot[13] = perCluster;
  boot.writeUInt16LE(reserved, 14);
  boot[16] = 2;
  boot.writeUInt16LE(bits === 32 ? 0 : ROOT_ENTRIES_16, 17);
  const sectors = Math.floor(size / SECTOR);
  const small = bits === 16 && sectors < 65536;
  boot.writeUInt16LE(small ? sectors : 0, 19);
  boot[21] = 0xf8;
  boot.writeUInt16LE(bits === 32 ? 0 : fatSectors, 22);
  boot.writeUInt16LE(63, 24);
  boot.writeUInt16LE(255, 26);
  boot.writeUInt32LE(small ? 0 : sectors, 32);
  if (bits === 32) {
    boot.writeUInt32LE(fatSectors, 36);
    boot.writeUInt32LE(root, 44);
    boot.writeUInt16LE(1, 48); // FSInfo
    boot.writeUInt16LE(6, 50); // copy of the boot sector
  }
  const at = bits === 32 ? 64 : 36;
  boot[at] = 0x80;
  boot[at + 2] = 0x29;
  boot.writeUInt32LE(parseInt(volumeId, 16), at + 3);
  boot.write((label || 'NO NAME').toUpperCase().padEnd(11), at + 7, 'latin1');
  boot.write(bits === 32 ? 'FAT32   ' : 'FAT16   ', at + 18, 'latin1');
  boot.writeUInt16LE(0xaa55, 510);
  await target.write(0, boot);
  if (bits !== 32) return;
  const info = Buffer.alloc(SECTOR);
  info.writeUInt32LE(0x41615252, 0);
  info.writeUInt32LE(0x61417272, 484);
  info.writeUInt32LE(free, 488);
  info.writeUInt32LE(next - 1, 492);
  info.writeUInt32LE(0xaa550000, 508);
  await target.write(SECTOR, info);
  await target.write(6 * SECTOR, boot);
  await target.write(7 * SECTOR, info);
}

/** Both file allocation tables: chains of clusters that follow each other. */
async function writeTables(
  target: RandomWriter,
  { bits, reserved, fatSectors }: Geometry,
  runs: readonly { readonly first: number; readonly count: number }[],
): Promise<void> {
  const width = bits / 8;
  const used = 2 + runs.reduce((sum, { count }) => sum + count, 0);
  const table = Buffer.alloc(Math.ceil((used * width) / SECTOR) * SECTOR);
  const set = (cluster: number, value: number) =>
    bits === 32 ? table.writeUInt32LE(value, cluster * 4) : table.writeUInt16LE(value & 0xffff, cluster * 2);
  set(0, 0x0ffffff8);
  set(1, END_OF_CHAIN);
  for (const { first, count } of runs) {
    for (let index = 0; index < count; index++)
      set(first + index, index + 1 < count ? first + index + 1 : END_OF_CHAIN);
  }
  for (const copy of [0, 1]) await target.write((reserved + copy * fatSectors) * SECTOR, table);
}
