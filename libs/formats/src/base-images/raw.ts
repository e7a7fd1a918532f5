import { readFile, stat } from 'node:fs/promises';
import { openFileReader } from '@boxship/host';
import {
  openDiskImage,
  probeCompression,
  readBmap,
  readPartitionTable,
  verifyWithBmap,
  type Bmap,
} from '@boxship/disk';
import { openExt4, planExt4Edit, probeFilesystem } from '@boxship/filesystem';
import { UserError, type RandomReader, type SystemImage } from '@boxship/model';
import type { BaseImage, BaseImageFormat, BaseRootfs, FindOptions, ReadOptions } from '../base-image-format.ts';
import { makePartsOfDisk, planPartsOfDisk, shownName } from '../tezi/parts-of-disk.ts';
import { findRootfs, type PartitionContent } from '../find-rootfs.ts';

/** The image of one whole disk, plain or compressed: `.wic`, `.img`, `.sdcard`, with `.gz .xz .zst .bz2`. */
export const raw: BaseImageFormat = { name: 'raw', probe, read };

async function probe(path: string): Promise<boolean> {
  const info = await stat(path);
  if (!info.isFile() || info.size < 1024) return false;
  // What is inside of a compressed file shows when it is read; no other format is a bare compressed stream.
  if ((await probeCompression(path)) !== 'none') return !/\.(tar\.\w+|tgz|txz|tbz2?|tzst)$/.test(path);
  const reader = await openFileReader(path);
  try {
    return await readPartitionTable(reader).then(
      () => true,
      (error: { code?: string }) => error.code !== 'NO_PARTITION_TABLE', // damaged, but raw: `read` says what is wrong
    );
  } finally {
    await reader.close();
  }
}

async function read(path: string, { cache, progress, digestOf }: ReadOptions): Promise<BaseImage> {
  const image = await openDiskImage(path, {
    cache,
    ...(progress ? { progress } : {}),
    ...(digestOf ? { digestOf } : {}),
  });
  try {
    const table = await readPartitionTable(image);
    const bmap = await findBmap(path);
    const devices = [{ name: 'disk', table, content: image, path: image.path, ...(bmap ? { bmap } : {}) }];
    let parts: BaseImage | undefined;
    const close = async () => {
      await parts?.close();
      parts = undefined;
      await image.close();
    };
    return {
      devices,
      openRootfs: (options) => openRootfs({ devices }, options),
      async asParts(rootfs, facts, readParts) {
        const warnings = await planPartsOfDisk(devices[0]!, rootfs);
        const options = { cache, ...(progress ? { progress } : {}) };
        const identity = await image.digest();
        const named = { ...options, identity, name: shownName(path) };
        const folder = await makePartsOfDisk(devices[0]!, rootfs, facts, named);
        parts ??= await readParts(folder, { ...options, digestOf: () => Promise.resolve(identity) });
        const { partition } = rootfs;
        return { image: parts, rootfs: await parts.openRootfs({ selector: { partition } }), warnings };
      },
      sources: [{ path, size: image.source.size, digest: image.digest }],
      warnings: table.warnings,
      verify: async (onBytes) => {
        if (bmap) await verifyWithBmap(image.path, bmap, onBytes);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await image.close();
    throw error;
  }
}

/** `vendor.wic.gz` has its block map in `vendor.wic.gz.bmap` or, as wic and Yocto write it, in `vendor.wic.bmap`. */
async function findBmap(path: string): Promise<Bmap | undefined> {
  const candidates = [`${path}.bmap`, `${path.replace(/\.(gz|xz|zst|bz2)$/, '')}.bmap`];
  for (const candidate of new Set(candidates)) {
    const text = await readFile(candidate, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text !== undefined) return readBmap(text, candidate);
  }
  return undefined;
}

async function openRootfs(image: SystemImage, options: FindOptions): Promise<BaseRootfs> {
  const onDisk = await findRootfs(image, { ...options, probe: lookInto });
  return {
    files: await openExt4(onDisk.content),
    partition: onDisk.partition.number,
    planEdit: (entries, edit) => planExt4Edit(onDisk.content, entries, edit),
    onDisk,
  };
}

/** Whether a system could start from the partition: an ext4 with an os-release file and an init program. */
async function lookInto(content: RandomReader): Promise<PartitionContent> {
  const filesystem = await probeFilesystem(content);
  if (filesystem !== 'ext4') return { ...(filesystem ? { filesystem } : {}), isRoot: false };
  try {
    const files = await openExt4(content);
    const { label } = files.superblock;
    const hasRelease = (await files.exists('etc/os-release')) || (await files.exists('usr/lib/os-release'));
    const isRoot = hasRelease && (await files.lstat('sbin/init')) !== undefined;
    return { filesystem, ...(label ? { label } : {}), isRoot };
  } catch (error) {
    if (error instanceof UserError) return { filesystem, isRoot: false }; // damaged: not what we look for
    throw error;
  }
}
