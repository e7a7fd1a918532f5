import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { hashFile } from '@boxship/disk';
import { runProgram } from '@boxship/host';
import type { Digest } from '@boxship/model';
import type { SinkOptions } from './artifact-format.ts';

/** Compressions that an artifact can have. */
export type FileCompression = 'gz' | 'xz' | 'zst';

/**
 * Arguments that make equal bytes whatever the number of cores: xz and zstd cut their input into blocks only when they are
 * told to use threads, so the number is fixed. Level 3 of xz needs 32 MiB a thread. gzip has one thread: pigz writes other
 * bytes than gzip does, and a host without it could not make the same image; members side by side are no way either, because
 * gzwrite of U-Boot reads the first one alone.
 */
const COMPRESSORS: Readonly<Record<FileCompression, readonly [string, ...string[]]>> = {
  gz: ['gzip', '-n', '-6', '-k'],
  xz: ['xz', '-3', '-T2', '--block-size=16MiB', '-k', '-q'],
  zst: ['zstd', '-9', '-T2', '-k', '-q'],
};

/** Host programs whose version can change the bytes of a file with that compression. */
export function compressorOf(compression: FileCompression | 'none'): readonly string[] {
  return compression === 'none' ? [] : [COMPRESSORS[compression][0]];
}

/** Makes `<path>.<compression>` beside the file, which stays. */
export async function compressFile(
  path: string,
  compression: FileCompression,
  { progress, signal }: SinkOptions,
): Promise<{ readonly size: number; readonly digest: Digest }> {
  const step = progress.start(`compressing ${basename(path)}.${compression}`);
  const [program, ...args] = COMPRESSORS[compression];
  try {
    // beside the file, with its name and the suffix: what these programs do by themselves
    await runProgram(program, [...args, '--', path], { cwd: dirname(path), ...(signal ? { signal } : {}) });
    const { size } = await stat(`${path}.${compression}`);
    step.advance(size);
    return { size, digest: (await hashFile(`${path}.${compression}`)).digest };
  } finally {
    step.end();
  }
}
