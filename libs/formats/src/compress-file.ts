import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { hashFile } from '@boxship/disk';
import { runProgram } from '@boxship/host';
import { MiB, type Digest } from '@boxship/model';
import type { SinkOptions } from './artifact-format.ts';

/** Compressions that an artifact can have. */
export type FileCompression = 'gz' | 'xz' | 'zst';

interface Compressor {
  readonly command: readonly [program: string, ...args: string[]];
  /** Bytes that it takes at most, measured. */
  readonly memory: number;
}

/**
 * Arguments that make equal bytes whatever the number of cores: xz and zstd cut their input into blocks only when they are
 * told to use threads, so the number is fixed. Level 3 of xz needs 32 MiB a thread; `-B4MiB` takes 80 MiB from zstd and adds
 * 0.2 % to the file. gzip has one thread: pigz writes other
 * bytes than gzip does, and a host without it could not make the same image; members side by side are no way either, because
 * gzwrite of U-Boot reads the first one alone. `-f`: it would leave alone what has other links, as what a RAUC bundle is made of.
 */
const COMPRESSORS: Readonly<Record<FileCompression, Compressor>> = {
  gz: { command: ['gzip', '-n', '-6', '-k', '-f'], memory: 2 * MiB },
  xz: { command: ['xz', '-3', '-T2', '--block-size=16MiB', '-k', '-q'], memory: 120 * MiB },
  zst: { command: ['zstd', '-9', '-T2', '-B4MiB', '-k', '-q'], memory: 60 * MiB },
};

/** Host programs whose version can change the bytes of a file with that compression. */
export function compressorOf(compression: FileCompression | 'none'): readonly string[] {
  return compression === 'none' ? [] : [COMPRESSORS[compression].command[0]];
}

/** Makes `<path>.<compression>` beside the file, which stays. */
export async function compressFile(
  path: string,
  compression: FileCompression,
  { progress, room, signal }: SinkOptions,
): Promise<{ readonly size: number; readonly digest: Digest }> {
  const step = progress.start(`compressing ${basename(path)}.${compression}`);
  const {
    command: [program, ...args],
    memory,
  } = COMPRESSORS[compression];
  // beside the file, with its name and the suffix: what these programs do by themselves
  const options = { cwd: dirname(path), ...(signal ? { signal } : {}) };
  try {
    await room.take(memory, () => runProgram(program, [...args, '--', path], options), signal);
    const { size } = await stat(`${path}.${compression}`);
    step.advance(size);
    return { size, digest: (await hashFile(`${path}.${compression}`)).digest };
  } finally {
    step.end();
  }
}
