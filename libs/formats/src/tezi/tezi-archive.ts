import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { hashParts } from '@boxship/disk';
import { tarHeader, type Ext4Plan } from '@boxship/filesystem';
import { closeSynced, fileWriter, withPath } from '@boxship/host';
import { alignUp, writerSlice, type ContentSource, type RandomWriter } from '@boxship/model';
import type { ArtifactSink } from '../artifact-format.ts';
import type { PayloadPlan } from '../payload.ts';

/** A file system, or an archive of one, whose contents come as streams. */
export type PlacedTree = Pick<Ext4Plan, 'sources' | 'writeMetadata' | 'contentWriter' | 'contentPieces'>;

/** One file of the archive: bytes at hand, a file of the vendor as it is, or a file system as an image. */
export type ArchivePart = { readonly name: string; readonly size: number } & (
  { readonly bytes: Uint8Array } | { readonly path: string } | { readonly filesystem: PlacedTree }
);

/** A tar archive whose every byte has its place before one is written, so that a file system in it can be written at random. */
export interface ArchivePlan {
  readonly size: number;
  readonly parts: readonly { readonly part: ArchivePart; readonly header: Uint8Array; readonly start: number }[];
}

/** POSIX: an archive consists of blocks of 512 bytes and ends with two of zeros. */
const BLOCK = 512;

/** Lays out the archive; all files are in one folder, as vendors wrap them. */
export function planArchive(folder: string, parts: readonly ArchivePart[], epoch: number): ArchivePlan {
  const common = { uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0 };
  let position = 0;
  const placed = parts.map((part) => {
    const path = Buffer.from(`${folder}/${part.name}`).toString('latin1'); // one character per byte
    const header = tarHeader({ ...common, path, type: 'file', mode: 0o644, size: part.size });
    const start = position + header.length;
    position = start + alignUp(part.size, BLOCK);
    return { part, header, start };
  });
  return { size: position + 2 * BLOCK, parts: placed };
}

/** Where the last file of an archive of `archiveSize` bytes begins, when it has `size` bytes. */
export function lastFileStart(archiveSize: number, size: number): number {
  return archiveSize - 2 * BLOCK - alignUp(size, BLOCK);
}

/** Opens the archive as a new file in `folder`. Errors: those of the file system, also when a file of the vendor changes meanwhile. */
export async function openArchive(
  folder: string,
  name: string,
  { size, parts }: ArchivePlan,
  payload: PayloadPlan | undefined,
  signal: AbortSignal | undefined,
): Promise<ArtifactSink> {
  const path = join(folder, name);
  const handle = await open(path, 'wx', 0o644);
  try {
    await handle.truncate(size);
  } catch (error) {
    await handle.close();
    throw withPath(error, path);
  }
  const target = fileWriter(handle, path);
  const filesystems = parts.flatMap(({ part, start }) => ('filesystem' in part ? [{ ...part, start }] : []));
  const holders = ({ id }: ContentSource) =>
    filesystems.filter(({ filesystem }) => filesystem.sources().some((source) => source.id === id));
  return {
    async writeFrame(onBytes) {
      for (const { part, header, start } of parts) {
        signal?.throwIfAborted();
        await target.write(start - header.length, header);
        if ('bytes' in part) await target.write(start, part.bytes);
        else if ('path' in part) await copyFile(part, target, start, onBytes);
        else await part.filesystem.writeMetadata(writerSlice(target, start));
      }
    },
    contentWriters: (source) =>
      holders(source).map(({ filesystem, start }) => filesystem.contentWriter(source, writerSlice(target, start))),
    scatterTargets: (source) =>
      holders(source).map(({ filesystem, start }) => ({
        ...{ descriptor: handle.fd, path, start, pieces: filesystem.contentPieces(source) },
        onWritten() {}, // the archive is digested when it is whole
      })),
    settle: () => closeSynced(handle, path),
    async finish() {
      const counted = payload?.parts.map(({ ranges }) => ranges) ?? [];
      const { size, digest, parts } = await hashParts(path, counted);
      return [{ name, size, digest, ...(payload ? { payload: payload.payload(parts) } : {}) }];
    },
    abandon: () => handle.close(),
  };
}

async function copyFile(
  { name, path, size }: { readonly name: string; readonly path: string; readonly size: number },
  target: RandomWriter,
  start: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    if (done + chunk.length > size) break;
    await target.write(start + done, chunk);
    done += chunk.length;
    onBytes(chunk.length);
  }
  if (done === size) return;
  throw new Error(`${name} changed while it was read: it had ${size} bytes`);
}
