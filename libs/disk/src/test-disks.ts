// Disk images for the tests of this package, made and judged by the programs of Debian's fdisk and gdisk packages.
import { accessSync, constants } from 'node:fs';
import { copyFile, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'vitest';
import { openFileReader, programPath, runProgram } from '@boxship/host';
import type { Partition, PartitionTable } from '@boxship/model';
import {
  appendPartitions,
  type AppendedPartitions,
  type AppendOptions,
  type NewPartition,
} from './append-partitions.ts';
import { serializePartitionTable } from './partition-patches.ts';
import { readPartitionTable } from './partition-table.ts';

/** `it`, skipped where a program is missing; in CI it runs and fails. */
export function itNeeds(...programs: string[]): (name: string, test: () => Promise<void>) => void {
  const isThere = (program: string) =>
    programPath()
      .split(':')
      .some((folder) => {
        try {
          accessSync(join(folder, program), constants.X_OK);
          return true;
        } catch {
          return false;
        }
      });
  return it.skipIf(process.env['CI'] !== 'true' && !programs.every(isThere));
}

/** A new image of `size` bytes, partitioned by sfdisk. */
export async function sfdiskImage(path: string, size: number, script: string): Promise<string> {
  await writeFile(path, '');
  await truncate(path, size);
  await runProgram('sfdisk', ['--quiet', path], { input: script });
  return path;
}

/** What `sfdisk -J` says of an image, in the words of our model. Numbers come from the order of device names. */
export async function sfdiskTable(path: string): Promise<unknown> {
  const { stdout } = await runProgram('sfdisk', ['-J', path]);
  const { partitiontable: table } = JSON.parse(stdout.toString()) as {
    partitiontable: {
      label: string;
      id: string;
      sectorsize: number;
      partitions: { node: string; start: number; size: number; type: string; uuid?: string; name?: string }[];
    };
  };
  return {
    type: table.label === 'dos' ? 'mbr' : 'gpt',
    diskId: table.id.toLowerCase().replace(/^0x/, ''),
    partitions: table.partitions.map(({ node, start, size, type, uuid, name }) => ({
      number: Number(node.slice(path.length)),
      start: start * table.sectorsize,
      size: size * table.sectorsize,
      type: table.label === 'dos' ? type.padStart(2, '0') : type.toLowerCase(),
      ...(uuid ? { partitionUuid: uuid.toLowerCase() } : {}),
      ...(name ? { name } : {}),
    })),
  };
}

/** Our table in the form that `sfdiskTable` has. */
export function asSfdisk({ type, diskId, partitions }: PartitionTable): unknown {
  const describe = ({ number, start, size, type: kind, partitionUuid, name }: Partition) => ({
    number,
    start,
    size,
    type: kind,
    ...(type === 'gpt' ? { partitionUuid } : {}),
    ...(name ? { name } : {}),
  });
  return { type, diskId, partitions: partitions.map(describe) };
}

export async function readTable(path: string): Promise<PartitionTable> {
  const reader = await openFileReader(path);
  try {
    return await readPartitionTable(reader);
  } finally {
    await reader.close();
  }
}

export async function overwrite(path: string, position: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.write(bytes, 0, bytes.length, position);
  } finally {
    await handle.close();
  }
}

/** Copies `path` to `path.new` with `news` appended, as compose does. */
export async function appendTo(
  path: string,
  news: readonly NewPartition[],
  options: AppendOptions = {},
): Promise<AppendedPartitions & { path: string; before: PartitionTable }> {
  const target = `${path}.new`;
  await copyFile(path, target);
  const reader = await openFileReader(path);
  try {
    const before = await readPartitionTable(reader);
    const appended = appendPartitions(before, reader.size, news, options);
    await truncate(target, appended.deviceSize);
    for (const { start, end } of appended.stale) await overwrite(target, start, Buffer.alloc(end - start));
    for (const { position, bytes } of await serializePartitionTable(appended.table, appended.deviceSize, reader)) {
      await overwrite(target, position, bytes);
    }
    return { ...appended, path: target, before };
  } finally {
    await reader.close();
  }
}

/** Complaints of sfdisk and, for a GPT, of sgdisk. Empty when they have none. */
export async function complaints(path: string): Promise<string[]> {
  const sfdisk = await runProgram('sfdisk', ['--verify', path], { accept: [0, 1] });
  const said = sfdisk.stdout.toString() + sfdisk.stderr;
  const found = said
    .split('\n')
    .filter(
      (line) => line && !/^\/.*:$|No errors detected|Header version|Using \d+ out|free sectors|unallocated/.test(line),
    );
  if (/gpt/i.test(await label(path))) {
    const sgdisk = await runProgram('sgdisk', ['-v', path], { accept: [0, 1, 2, 3, 4] });
    const text = sgdisk.stdout.toString() + sgdisk.stderr;
    if (
      !text.includes('No problems found') ||
      /problem:|invalid|corrupt|damaged|mismatch|oversized|caution: the/i.test(text)
    )
      found.push(text);
  }
  return found;
}

async function label(path: string): Promise<string> {
  return (await runProgram('sfdisk', ['-J', path])).stdout.toString();
}

export async function bytesOf(path: string, start: number, length: number): Promise<Buffer> {
  return (await readFile(path)).subarray(start, start + length);
}
