import { UserError, type RandomReader } from '@boxship/model';

/** Files of a FAT file system. Names are compared without regard to case, as FAT does; paths are joined by `/`. */
export interface FatReader {
  /** Undefined when there is no such file, or a folder. Errors: FAT_DAMAGED; FAT_FILE_TOO_LARGE above `limit` bytes. */
  readFile(path: string, limit: number): Promise<Uint8Array | undefined>;
  /** Long names where there are any, in the order on disk; empty when there is no such folder. */
  readDirectory(path: string): Promise<readonly FatEntry[]>;
}

export interface FatEntry {
  readonly name: string;
  readonly type: 'file' | 'directory';
  /** Bytes; 0 for a directory. */
  readonly size: number;
  readonly firstCluster: number;
}

/** What the boot sector says ("FAT: General Overview of On-Disk Format" 1.03, "BPB"); positions in bytes. */
interface Geometry {
  readonly bits: 12 | 16 | 32;
  readonly clusterSize: number;
  readonly clusterCount: number;
  readonly fat: number;
  readonly fatSize: number;
  /** Of cluster 2. */
  readonly data: number;
  /** FAT12 and FAT16: a run before the data; FAT32: a cluster. */
  readonly root: { readonly position: number; readonly size: number } | { readonly cluster: number };
}

/** Folders of a boot partition are small; a loop in a damaged one must end. */
const DIRECTORY_SIZE_MAX = 4 * 1024 * 1024;
const ENTRY = 32;
const ATTRIBUTE = { volume: 0x08, directory: 0x10, longName: 0x0f };

/** The FAT12, FAT16 or FAT32 in `reader`, or undefined when it is none. Nothing but the boot sector is read. */
export async function openFat(reader: RandomReader): Promise<FatReader | undefined> {
  const geometry = reader.size < 512 ? undefined : readGeometry(await reader.read(0, 512), reader.size);
  if (!geometry) return undefined;
  const chain = clusterChain(reader, geometry);

  const listCluster = async (cluster: number) => readEntries(await chain(cluster, DIRECTORY_SIZE_MAX));
  const listRoot = async () =>
    'cluster' in geometry.root
      ? await listCluster(geometry.root.cluster)
      : readEntries(await reader.read(geometry.root.position, geometry.root.size));
  const list = async (path: string): Promise<readonly FatEntry[]> => {
    let entries = await listRoot();
    for (const part of path.split('/').filter((name) => name !== '')) {
      const next = entries.find(({ name }) => isSame(name, part));
      if (next?.type !== 'directory') return [];
      entries = await listCluster(next.firstCluster);
    }
    return entries;
  };
  return {
    readDirectory: list,
    async readFile(path, limit) {
      const slash = path.lastIndexOf('/');
      const entry = (await list(path.slice(0, Math.max(slash, 0)))).find(({ name }) => isSame(name, path.slice(slash + 1)));
      if (entry?.type !== 'file') return undefined;
      if (entry.size > limit) {
        throw new UserError('FAT_FILE_TOO_LARGE', `${path} has ${entry.size} bytes, ${limit} are read`);
      }
      if (entry.size === 0) return new Uint8Array();
      const bytes = await chain(entry.firstCluster, entry.size);
      if (bytes.length < entry.size) throw damaged(`${path} has ${entry.size} bytes and clusters for ${bytes.length}`);
      return bytes.subarray(0, entry.size);
    },
  }; // prettier-ignore
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function readGeometry(sector: Uint8Array, size: number): Geometry | undefined {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const jump = view.getUint8(0);
  const sectorSize = view.getUint16(11, true);
  const perCluster = view.getUint8(13);
  const reserved = view.getUint16(14, true);
  const fats = view.getUint8(16);
  const isPower = (value: number) => value > 0 && (value & (value - 1)) === 0;
  if (view.getUint16(510, true) !== 0xaa55 || (jump !== 0xeb && jump !== 0xe9)) return undefined;
  if (!isPower(sectorSize) || sectorSize < 512 || sectorSize > 4096 || !isPower(perCluster)) return undefined;
  if (reserved === 0 || fats === 0 || fats > 2) return undefined;
  const rootEntries = view.getUint16(17, true);
  const sectors = view.getUint16(19, true) || view.getUint32(32, true);
  const fatSectors = view.getUint16(22, true) || view.getUint32(36, true);
  const rootSectors = Math.ceil((rootEntries * ENTRY) / sectorSize);
  const dataSector = reserved + fats * fatSectors + rootSectors;
  if (fatSectors === 0 || sectors <= dataSector || dataSector * sectorSize >= size) return undefined;
  const clusterCount = Math.floor((sectors - dataSector) / perCluster);
  // the count of clusters alone tells which FAT it is ("FAT Type Determination")
  const bits = clusterCount < 4085 ? 12 : clusterCount < 65525 ? 16 : 32;
  return {
    bits,
    clusterSize: perCluster * sectorSize,
    clusterCount,
    fat: reserved * sectorSize,
    fatSize: fatSectors * sectorSize,
    data: dataSector * sectorSize,
    root:
      bits === 32
        ? { cluster: view.getUint32(44, true) }
        : { position: (reserved + fats * fatSectors) * sectorSize, size: rootEntries * ENTRY },
  };
}

/** Reads the clusters of a chain, until it ends or `limit` bytes are there. */
function clusterChain(reader: RandomReader, geometry: Geometry) {
  const { bits, fat, fatSize, clusterSize, clusterCount, data } = geometry;
  const next = async (cluster: number): Promise<number> => {
    const position = bits === 12 ? cluster + (cluster >> 1) : cluster * (bits / 8);
    if (position + 4 > fatSize + 3) throw damaged(`cluster ${cluster} is beyond the file allocation table`);
    const bytes = await reader.read(fat + position, bits === 32 ? 4 : 2);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bits === 32) return view.getUint32(0, true) & 0x0fffffff;
    const value = view.getUint16(0, true);
    if (bits === 16) return value;
    return (cluster & 1) === 1 ? value >> 4 : value & 0xfff;
  };
  const end = { 12: 0xff8, 16: 0xfff8, 32: 0x0ffffff8 }[bits];
  return async (first: number, limit: number): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (let cluster = first; cluster < end && length < limit; cluster = await next(cluster)) {
      if (cluster < 2 || cluster >= clusterCount + 2) throw damaged(`a chain leads to cluster ${cluster} of ${clusterCount}`);
      chunks.push(await reader.read(data + (cluster - 2) * clusterSize, clusterSize));
      length += clusterSize;
    }
    return Buffer.concat(chunks);
  }; // prettier-ignore
}

function readEntries(bytes: Uint8Array): readonly FatEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: FatEntry[] = [];
  let long: string[] = [];
  for (let at = 0; at + ENTRY <= buffer.length; at += ENTRY) {
    const first = buffer[at]!;
    const attributes = buffer[at + 11]!;
    if (first === 0) break;
    if (first === 0xe5) long = [];
    else if ((attributes & 0x3f) === ATTRIBUTE.longName) {
      // the last part comes first; 0x40 marks it
      if ((first & 0x40) !== 0) long = [];
      long.unshift(longNamePart(buffer.subarray(at, at + ENTRY)));
    } else {
      const name = long.length > 0 ? long.join('') : shortName(buffer.subarray(at, at + ENTRY));
      long = [];
      if ((attributes & ATTRIBUTE.volume) !== 0 || name === '.' || name === '..') continue;
      entries.push({
        name,
        type: (attributes & ATTRIBUTE.directory) !== 0 ? 'directory' : 'file',
        size: buffer.readUInt32LE(at + 28),
        firstCluster: buffer.readUInt16LE(at + 20) * 65536 + buffer.readUInt16LE(at + 26),
      });
    }
  }
  return entries;
}

/** 13 characters in three places; 0 ends the name. */
function longNamePart(entry: Buffer): string {
  const places = [[1, 11], [14, 26], [28, 32]] as const; // prettier-ignore
  const text = places.map(([from, to]) => entry.subarray(from, to).toString('utf16le')).join('');
  return text.split('\0')[0]!;
}

/** `NAME    EXT`; Windows NT marks lower case in byte 12 (0x08 the name, 0x10 its extension). */
function shortName(entry: Buffer): string {
  const text = (from: number, to: number, isLower: boolean) => {
    const part = entry.subarray(from, to).toString('latin1').trimEnd();
    return isLower ? part.toLowerCase() : part;
  };
  const name = text(0, 8, (entry[12]! & 0x08) !== 0);
  const extension = text(8, 11, (entry[12]! & 0x10) !== 0);
  return extension === '' ? name : `${name}.${extension}`;
}

function damaged(why: string): UserError {
  return new UserError('FAT_DAMAGED', `a FAT file system of the base image is damaged: ${why}`);
}
