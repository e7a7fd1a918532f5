import { stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createBmap, digestImage, hashFile, type Checkpoints, type ImageDigests } from '@boxship/disk';
import { runProgram, writeFileAtomically, type Progress } from '@boxship/host';
import type { Digest, Variant } from '@boxship/model';
import { emptyRanges, mappedRanges, type RawImagePlan, type RawImageWriter } from './raw-artifact.ts';

export type RawCompression = 'none' | 'gz' | 'xz' | 'zst';

export interface RawArtifactOptions {
  readonly compression: RawCompression;
  readonly bmap: boolean;
}

/** A file of an artifact, as a release names it. */
export interface ArtifactFile {
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
  /** Of a plain image: where a damaged copy differs is found to one step. */
  readonly checkpoints?: Checkpoints;
  /** Of a compressed image: size and digest of what it unpacks to. */
  readonly unpacked?: { readonly size: number; readonly digest: Digest };
}

export interface FinishOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Name of the plain image: `<product>-<version>-<machine>-<variant>.img`. */
export function rawImageName({ product, version, machine, name }: Variant): string {
  return `${product}-${version}-${machine.name}-${name}.img`;
}

/** Names of the files that a raw artifact consists of. */
export function rawFileNames(variant: Variant, { compression, bmap }: RawArtifactOptions): readonly string[] {
  const image = rawImageName(variant);
  const name = compression === 'none' ? image : `${image}.${compression}`;
  return bmap ? [name, `${image}.bmap`] : [name];
}

/**
 * Arguments that make equal bytes whatever the number of cores: xz and zstd cut their input into blocks only when they are
 * told to use threads, so the number is fixed. Level 3 of xz needs 32 MiB a thread.
 */
const COMPRESSORS: Readonly<Record<Exclude<RawCompression, 'none'>, readonly [string, ...string[]]>> = {
  gz: ['gzip', '-n', '-6', '-k'],
  xz: ['xz', '-3', '-T2', '--block-size=16MiB', '-k', '-q'],
  zst: ['zstd', '-9', '-T2', '-k', '-q'],
};

/** The program that this compression needs, if any. */
export function compressorOf(compression: RawCompression): readonly string[] {
  return compression === 'none' ? [] : [COMPRESSORS[compression][0]];
}

/**
 * Digests an image while it is written, following behind. Call it before the first byte; it resolves when the last one is
 * final and read.
 */
export async function digestWhileWritten(
  image: RawImageWriter,
  plan: RawImagePlan,
  signal: AbortSignal | undefined,
): Promise<ImageDigests> {
  return await digestImage(image.path, mappedRanges(plan), {
    ...{ written: image.written, zeros: emptyRanges(plan) },
    ...(signal ? { signal } : {}),
  });
}

/**
 * Makes the files that `artifacts` ask for out of the plain image at `path`: block map, compressed forms. The plain image
 * stays only when it is asked for.
 */
export async function writeRawFiles(
  path: string,
  digests: ImageDigests,
  artifacts: readonly RawArtifactOptions[],
  { progress, signal }: FinishOptions,
): Promise<readonly ArtifactFile[]> {
  const name = basename(path);
  const folder = dirname(path);
  const plain: ArtifactFile = { name, size: digests.size, digest: digests.sha256, checkpoints: digests.checkpoints };
  const files: ArtifactFile[] = [];
  for (const { compression } of artifacts) {
    files.push(compression === 'none' ? plain : await compress(folder, plain, compression, progress, signal));
  }
  if (artifacts.some(({ bmap }) => bmap)) {
    const text = createBmap({ imageSize: digests.size, ranges: digests.ranges });
    const map = join(folder, `${name}.bmap`);
    await writeFileAtomically(map, text);
    files.push({ name: basename(map), ...(await hashFile(map)) });
  }
  if (!files.includes(plain)) await unlink(path);
  return files;
}

async function compress(
  folder: string,
  plain: ArtifactFile,
  compression: Exclude<RawCompression, 'none'>,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<ArtifactFile> {
  const name = `${plain.name}.${compression}`;
  const step = progress.start(`compressing ${name}`);
  const [program, ...args] = COMPRESSORS[compression];
  try {
    await runProgram(program, [...args, '--', join(folder, plain.name)], signal ? { signal } : {});
    const { size } = await stat(join(folder, name));
    step.advance(size);
    const { digest } = await hashFile(join(folder, name));
    return { name, size, digest, unpacked: { size: plain.size, digest: plain.digest } };
  } finally {
    step.end();
  }
}
