import { createHash } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { copySparse, isExtended } from '@boxship/disk';
import { openExt4, readRootfsTree, writeTar } from '@boxship/filesystem';
import { closeSynced, fileWriter, silent, withPath, type Cache, type Progress } from '@boxship/host';
import {
  formatByteSize,
  MiB,
  readerSlice,
  UserError,
  type ByteRange,
  type Partition,
  type Problem,
  type RandomReader,
} from '@boxship/model';
import type { BaseDevice, BaseRootfs } from '../base-image-format.ts';
import type { TeziContent, TeziPartition } from './image-json.ts';
import { IMAGE_JSON } from './tezi-folder.ts';

/** What a disk image does not say, and image.json has to. */
export interface InstallerFacts {
  /** Four digits each. */
  readonly productIds: readonly string[];
  /** The device of the module, as image.json names it. */
  readonly device: string;
}

const ROOTFS_TAR = 'rootfs.tar';
/** Where the code of an MBR ends and its table begins. */
const BOOT_CODE = 440;

/** What an installer does not make of a disk. Errors: DISK_NO_TEZI with everything that it has no place for. */
export async function planPartsOfDisk({ table, content }: BaseDevice, rootfs: BaseRootfs): Promise<readonly string[]> {
  const problems: Problem[] = [];
  const refuse = (message: string) =>
    problems.push({ code: 'DISK_NO_TEZI', message, hint: 'Ask the vendor for an image for Toradex Easy Installer, or write "artifacts: [raw]".' });
  if (!rootfs.onDisk) throw new Error('the rootfs is on the disk');
  const { partitions, metadata } = table;
  if (table.type === 'mbr' && partitions.some(({ type }) => isExtended(type))) refuse('the disk has logical partitions, which an installer does not make');
  partitions.forEach(({ number, start }, index) => {
    if (number !== index + 1 || (index > 0 && start < partitions[index - 1]!.start)) {
      refuse(`partition ${number} is number ${index + 1} on the disk: an installer numbers them as they lie`);
    }
  });
  const known = [...metadata.primary, ...metadata.backup, ...partitions.map(({ start, size }) => ({ start, end: start + size }))];
  for (const { start, end } of await usedRanges(content, gapsOf(known, content.size))) {
    refuse(`bytes ${start} to ${end - 1}, outside of all partitions, are not empty (a boot loader?): image.json would have to say where the module looks for them`);
  }
  if (table.type === 'mbr' && (await content.read(0, BOOT_CODE)).some((byte) => byte !== 0)) refuse('the disk has boot code in its first sector');
  if (problems.length > 0) throw new UserError(problems);
  const marked = partitions.filter(({ attributes }) => attributes !== 0n).map(({ number }) => number);
  return [
    'partitions are found by number or by what is in them: the installer gives them UUIDs and, in a GPT, names and types of its own',
    ...(marked.length > 0 ? [`flags are not set: of partition ${marked.join(', ')}`] : []),
  ];
} // prettier-ignore

/** What of the disk lies in no range; all are bytes from its start. */
function gapsOf(ranges: readonly ByteRange[], size: number): readonly ByteRange[] {
  const gaps: ByteRange[] = [];
  let end = 0;
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    if (range.start > end) gaps.push({ start: end, end: range.start });
    end = Math.max(end, range.end);
  }
  return end < size ? [...gaps, { start: end, end: size }] : gaps;
}

const ZEROS = Buffer.alloc(MiB);

/** Of each range what is not zero, from the first such byte to the last. */
async function usedRanges(content: RandomReader, ranges: readonly ByteRange[]): Promise<readonly ByteRange[]> {
  const used: ByteRange[] = [];
  for (const range of ranges) {
    let found: { start: number; end: number } | undefined;
    for (let at = range.start; at < range.end; at += MiB) {
      const bytes = await content.read(at, Math.min(MiB, range.end - at));
      if (ZEROS.subarray(0, bytes.length).equals(bytes)) continue;
      found ??= { start: at + bytes.findIndex((byte) => byte !== 0), end: 0 };
      found.end = at + bytes.findLastIndex((byte) => byte !== 0) + 1;
    }
    if (found) used.push(found);
  }
  return used;
}

/** Counts up when equal inputs begin to give other bytes. */
const KIND = 'parts-of-disk-v1';

/**
 * A folder in the cache with the parts of a disk: the files of the rootfs as an archive, every other partition byte for byte, and
 * an image.json. `identity` tells one disk from another, `name` is shown in the installer's list.
 */
export async function makePartsOfDisk(
  device: BaseDevice,
  rootfs: BaseRootfs,
  facts: InstallerFacts,
  { cache, progress = silent, identity, name }: { readonly cache: Cache; readonly progress?: Progress; readonly identity: string; readonly name: string },
): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([identity, rootfs.partition, facts, name])).digest('hex'); // prettier-ignore
  return await cache.get(KIND, key, async (folder) => {
    const { table, content } = device;
    const step = progress.start(`taking ${name} apart for an installer`, table.partitions.reduce((sum, { size }) => sum + size, 0)); // prettier-ignore
    try {
      await mkdir(folder);
      const partitions: TeziPartition[] = [];
      for (const partition of table.partitions) {
        const isRootfs = partition.number === rootfs.partition;
        const reader = readerSlice(content, partition.start, partition.size);
        if (isRootfs) await writeRootfs(rootfs, identity, join(folder, ROOTFS_TAR));
        else await copyPartition(reader, join(folder, imageName(partition)));
        step.advance(partition.size);
        partitions.push({ ...sizeAndType(partition, table.type), content: isRootfs ? await rootfsContent(reader) : rawContent(partition) });
      }
      const json = {
        config_format: 2,
        autoinstall: false,
        name,
        description: `${formatByteSize(content.size)}, made of the image of a disk`,
        supported_product_ids: facts.productIds,
        blockdevs: [{ name: facts.device, ...(table.type === 'gpt' ? { table_type: 'gpt' } : {}), partitions }],
      };
      await writeFile(join(folder, IMAGE_JSON), `${JSON.stringify(json, null, 4)}\n`);
    } finally {
      step.end();
    }
  });
} // prettier-ignore

function imageName({ number }: Partition): string {
  return `partition-${number}.img`;
}

function sizeAndType({ size, type }: Partition, table: 'gpt' | 'mbr'): Omit<TeziPartition, 'content'> {
  return {
    partition_size_nominal: Math.ceil(size / MiB),
    want_maximised: false,
    ...(table === 'mbr' ? { partition_type: type.padStart(2, '0') } : {}),
  };
}

function rawContent(partition: Partition): TeziContent {
  return {
    filesystem_type: 'raw',
    uncompressed_size: partition.size / MiB,
    rawfiles: [{ filename: imageName(partition) }],
  };
}

/** A file system of its files with the label and the UUID that it has. */
async function rootfsContent(partition: RandomReader): Promise<TeziContent> {
  const { label, uuid, blockCount, freeBlocks, blockSize } = (await openExt4(partition)).superblock;
  return {
    ...(label ? { label } : {}),
    filesystem_type: 'ext4',
    mkfs_options: `-U ${uuid}`,
    filename: ROOTFS_TAR,
    uncompressed_size: ((blockCount - freeBlocks) * blockSize) / MiB,
  };
}

async function writeRootfs({ files }: BaseRootfs, identity: string, path: string): Promise<void> {
  const handle = await open(path, 'wx', 0o644);
  try {
    for await (const chunk of writeTar(await readRootfsTree(files, { id: identity }))) await handle.writeFile(chunk);
    await closeSynced(handle, path);
  } catch (error) {
    await handle.close().catch(() => {});
    throw withPath(error, path);
  }
}

async function copyPartition(content: RandomReader, path: string): Promise<void> {
  const handle = await open(path, 'wx', 0o644);
  try {
    await handle.truncate(content.size);
    await copySparse(content, fileWriter(handle, path), [{ start: 0, end: content.size }]);
    await closeSynced(handle, path);
  } catch (error) {
    await handle.close().catch(() => {});
    throw withPath(error, path);
  }
}

/** What the list of an installer shows of the file of a disk image. */
export function shownName(path: string): string {
  return basename(path).replace(/(\.(wic|img|sdcard|simg))?(\.(gz|xz|zst|bz2))?$/, '');
}
