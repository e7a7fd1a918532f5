import { createBmap, hashFile } from '@boxship/disk';
import { writeFileAtomically } from '@boxship/host';
import type { ArtifactOptions } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { compressFile, compressorOf, type FileCompression } from '../compress-file.ts';
import { rawExchange } from '../raw-exchange.ts';
import type { DiskImageForm, WrittenDiskImage } from '../disk-image-form.ts';

interface RawOptions {
  readonly compression: FileCompression | 'none';
  readonly bmap: boolean;
}

/** Whether `raw` gives this name to an image, compressed or not. */
export function isRawImage(name: string): boolean {
  return /\.img(\.(gz|xz|zst))?$/.test(name);
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
  programs: (options) => compressorOf(optionsOf(options).compression),
  async files({ name }, options) {
    const { compression, bmap } = optionsOf(options);
    const image = compression === 'none' ? name : `${name}.${compression}`;
    return bmap ? [image, `${name}.bmap`] : [image];
  },
  bytesBeside: () => 0,
  isImage: (options) => optionsOf(options).compression === 'none',
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
  compression: FileCompression,
  sink: SinkOptions,
): Promise<ArtifactFile> {
  return await image.derive(`${image.name}.${compression}`, async () => {
    const { digests, payload } = image;
    const packed = await compressFile(image.path, compression, sink);
    const unpacked = { size: digests.size, digest: digests.sha256 };
    return { ...packed, unpacked, ...(payload ? { payload } : {}) };
  });
}
