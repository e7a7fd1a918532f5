import { stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createBmap, digestImage, hashFile } from '@boxship/disk';
import { runProgram, writeFileAtomically, type Progress } from '@boxship/host';
import type { Digest, RawArtifactOptions, RawCompression, Variant } from '@boxship/model';
import { mappedRanges, type RawImagePlan, type RawImageWriter } from './raw-artifact.ts';

/** A file of an artifact, as a release names it. */
export interface ArtifactFile {
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
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

/**
 * Brings the image to the disk, digests it, and makes the files that the variant asks for: block map, compressed forms.
 * The plain image stays only when it is asked for.
 */
export async function finishRawArtifacts(
  image: RawImageWriter,
  plan: RawImagePlan,
  variant: Variant,
  { progress, signal }: FinishOptions,
): Promise<readonly ArtifactFile[]> {
  const artifacts = variant.artifacts.filter(({ format }) => format === 'raw');
  const name = basename(image.path);
  const folder = dirname(image.path);
  const step = progress.start(`digesting ${name}`, plan.deviceSize);
  // Reading from the page cache and writing back to the disk go on at the same time.
  const [digests] = await Promise.all([
    digestImage(image.path, mappedRanges(plan), {
      onBytes: (bytes) => step.advance(bytes),
      ...(signal ? { signal } : {}),
    }),
    image.finish(),
  ]).finally(() => step.end());
  const plain: ArtifactFile = { name, size: digests.size, digest: digests.sha256 };
  const files: ArtifactFile[] = [];
  for (const { compression } of artifacts) {
    files.push(compression === 'none' ? plain : await compress(folder, plain, compression, progress, signal));
  }
  if (artifacts.some(({ bmap }) => bmap)) {
    const text = createBmap({ imageSize: digests.size, ranges: digests.ranges });
    const path = join(folder, `${name}.bmap`);
    await writeFileAtomically(path, text);
    files.push({ name: basename(path), ...(await hashFile(path)) });
  }
  if (!files.includes(plain)) await unlink(image.path);
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
