import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile } from '@boxship/disk';
import type { Ext4Plan } from '@boxship/filesystem';
import { fileWriter, runProgram, withPath, type Progress } from '@boxship/host';
import type { Digest } from '@boxship/model';
import { pumpContents, type Consumer } from './content-pump.ts';
import type { ReleaseFile } from './release.ts';

export type PartitionCompression = 'none' | 'zst';

/** One of our partitions as a file. */
export interface PartitionFile {
  /** The file, compressed or not. */
  readonly file: ReleaseFile;
  /** Of the partition: the bytes that are on the device. */
  readonly size: number;
  readonly digest: Digest;
}

/** As for disk images: a fixed number of threads makes equal bytes whatever the number of cores. */
const ZSTD = ['-9', '-T2', '-q', '--rm'];

/** Writes a file system as a new file `<name>[.zst]` in `folder`; what is not in use stays a hole. */
export async function writePartitionFile(
  folder: string,
  name: string,
  plan: Ext4Plan,
  {
    compression,
    progress,
    signal,
  }: { readonly compression: PartitionCompression; readonly progress: Progress; readonly signal?: AbortSignal },
): Promise<PartitionFile> {
  const path = join(folder, name);
  const step = progress.start(`writing ${name}`, plan.sources().reduce((sum, { size }) => sum + size, 0)); // prettier-ignore
  try {
    const handle = await open(path, 'wx', 0o644);
    try {
      await handle.truncate(plan.sizeBytes);
      const target = fileWriter(handle, path);
      await plan.writeMetadata(target);
      const consumers = plan.sources().map((source): Consumer => {
        if (!source.scatter) return { source, writers: [plan.contentWriter(source, target)] };
        const pieces = plan.contentPieces(source);
        return {
          source,
          writers: [],
          targets: [{ descriptor: handle.fd, path, start: 0, pieces, onWritten: () => {} }],
        };
      });
      await pumpContents(consumers, { onBytes: (bytes) => step.advance(bytes), ...(signal ? { signal } : {}) });
      await handle.sync();
    } catch (error) {
      throw withPath(error, path);
    } finally {
      await handle.close();
    }
    const { digest, size } = await hashFile(path);
    if (compression === 'none') return { file: { name, size, digest }, size, digest };
    await runProgram('zstd', [...ZSTD, '--', path], signal ? { signal } : {});
    const packed = await hashFile(`${path}.zst`);
    return { file: { name: `${name}.zst`, ...packed, unpacked: { size, digest } }, size, digest };
  } finally {
    step.end();
  }
}
