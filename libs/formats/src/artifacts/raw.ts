import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createBmap, hashFile } from '@boxship/disk';
import { runProgram, writeFileAtomically } from '@boxship/host';
import type { ArtifactOptions } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { rawExchange } from '../raw-exchange.ts';
import type { DiskImageForm, WrittenDiskImage } from '../disk-image-form.ts';

type RawCompression = 'none' | 'gz' | 'xz' | 'zst';

interface RawOptions {
  readonly compression: RawCompression;
  readonly bmap: boolean;
}

/** The image of a whole disk, plain or compressed, with a block map. */
export const raw: DiskImageForm = {
  name: 'raw',
  readOptions: ({ compression = 'none', bmap = true }) => ({
    format: 'raw',
    compression: compression as string,
    bmap: bmap === true,
  }),
  describe: (options) => `raw with compression ${optionsOf(options).compression}`,
  programs: (options) => {
    const { compression } = optionsOf(options);
    return compression === 'none' ? [] : [COMPRESSORS[compression][0]];
  },
  async files({ name }, options) {
    const { compression, bmap } = optionsOf(options);
    const image = compression === 'none' ? name : `${name}.${compression}`;
    return bmap ? [image, `${name}.bmap`] : [image];
  },
  bytesBeside: () => 0,
  async write(image, options, sink) {
    const { compression, bmap } = optionsOf(options);
    const file = compression === 'none' ? plainFile(image) : await compress(image, compression, sink);
    return bmap ? [file, await writeBmap(image)] : [file];
  },
  exchange: rawExchange,
};

function optionsOf(options: ArtifactOptions): RawOptions {
  return options as unknown as RawOptions; // `readOptions` made them
}

/**
 * Arguments that make equal bytes whatever the number of cores: xz and zstd cut their input into blocks only when they are
 * told to use threads, so the number is fixed. Level 3 of xz needs 32 MiB a thread. gzip has one thread: pigz writes other
 * bytes than gzip does, and a host without it could not make the same image; members side by side are no way either, because
 * gzwrite of U-Boot reads the first one alone.
 */
const COMPRESSORS: Readonly<Record<Exclude<RawCompression, 'none'>, readonly [string, ...string[]]>> = {
  gz: ['gzip', '-n', '-6', '-k'],
  xz: ['xz', '-3', '-T2', '--block-size=16MiB', '-k', '-q'],
  zst: ['zstd', '-9', '-T2', '-k', '-q'],
};

function plainFile({ name, digests: { size, sha256, checkpoints }, payload }: WrittenDiskImage): ArtifactFile {
  return { name, size, digest: sha256, checkpoints, ...(payload ? { payload } : {}) };
}

async function writeBmap(image: WrittenDiskImage): Promise<ArtifactFile> {
  return await image.derive(`${image.name}.bmap`, async (path) => {
    const { size, ranges } = image.digests;
    await writeFileAtomically(path, createBmap({ imageSize: size, ranges }));
    return await hashFile(path);
  });
}

async function compress(
  image: WrittenDiskImage,
  compression: Exclude<RawCompression, 'none'>,
  { progress, signal }: SinkOptions,
): Promise<ArtifactFile> {
  const name = `${image.name}.${compression}`;
  return await image.derive(name, async (path) => {
    const step = progress.start(`compressing ${name}`);
    const [program, ...args] = COMPRESSORS[compression];
    try {
      // beside the image, with its name and the suffix: what these programs do by themselves
      await runProgram(program, [...args, '--', image.path], { cwd: dirname(path), ...(signal ? { signal } : {}) });
      const { size } = await stat(path);
      step.advance(size);
      const { digest } = await hashFile(path);
      const { size: plainSize, sha256 } = image.digests;
      const { payload } = image;
      return { size, digest, unpacked: { size: plainSize, digest: sha256 }, ...(payload ? { payload } : {}) };
    } finally {
      step.end();
    }
  });
}
