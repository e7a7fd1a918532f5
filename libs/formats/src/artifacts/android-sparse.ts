import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  androidSparse as sparseBytes,
  hashParts,
  planAndroidSparse,
  sparsePartLimit,
  type SparsePart,
} from '@boxship/disk';
import { fileWriter } from '@boxship/host';
import { parseByteSize, type ArtifactOptions, type ByteRange } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { payloadOf, type Payload } from '../payload.ts';
import { rawExchange } from '../raw-exchange.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';

/** The image of a whole disk in Android's sparse format, as fastboot and uuu take it: only the blocks that matter. */
export const androidSparse: DiskImageForm = {
  name: 'android-sparse',
  readOptions: ({ splitSize }) => ({
    format: 'android-sparse',
    ...(splitSize === undefined ? {} : { splitSize: parseByteSize(String(splitSize)) }),
  }),
  describe: () => 'android-sparse',
  programs: () => [],
  async files(image, options) {
    return namesOf(image, partsOf(image, options));
  },
  bytesBeside: (image, options) => partsOf(image, options).reduce((sum, part) => sum + sparsePartLimit(part), 0),
  async write(image, options, sink) {
    const parts = partsOf(image, options);
    const names = namesOf(image, parts);
    const files: ArtifactFile[] = [];
    if (parts.length === 1) return [await writeWholeSparse(image, sink)];
    const payloads = await payloadsOf(image, parts);
    for (const [index, part] of parts.entries()) {
      files.push({ ...(await writeSparse(image, names[index]!, part, sink)), ...payloads[index] });
    }
    return files;
  },
  exchange: rawExchange,
};

function partsOf({ mapped, size }: PlannedDiskImage, { splitSize }: ArtifactOptions): readonly SparsePart[] {
  return planAndroidSparse(mapped, size, splitSize as number | undefined);
}

/** Of each file what it brings of the payload's parts: the image is read once more for that. */
async function payloadsOf(
  { path, payload }: WrittenDiskImage,
  files: readonly SparsePart[],
): Promise<readonly { readonly payload?: Payload }[]> {
  if (!payload) return files.map(() => ({}));
  const brought = files.map((file) =>
    payload.parts
      .map(({ name, ranges }) => ({ name, ranges: within(ranges, file) }))
      .filter(({ ranges }) => ranges.length > 0),
  );
  const found = await hashParts(path, brought.flat().map(({ ranges }) => ranges)); // prettier-ignore
  const digests = found.parts.values();
  return brought.map((parts) => ({
    payload: payloadOf({ ...payload, parts: parts.map((part) => ({ ...part, digest: digests.next().value! })) }),
  }));
}

/** What of the ranges lies in a file; both are ascending. */
function within(ranges: readonly ByteRange[], file: SparsePart): readonly ByteRange[] {
  const last = file.at(-1)?.end ?? 0;
  return ranges
    .filter(({ start, end }) => end > (file[0]?.start ?? 0) && start < last)
    .flatMap(({ start, end }) =>
      file.map((one) => ({ start: Math.max(start, one.start), end: Math.min(end, one.end) })),
    )
    .filter(({ start, end }) => end > start);
}

/** As simg2simg names them: `.simg`, or `.simg.0`, `.simg.1`, … */
function namesOf({ name }: PlannedDiskImage, parts: readonly SparsePart[]): readonly string[] {
  return parts.length === 1 ? [sparseName(name)] : parts.map((_, index) => `${sparseName(name)}.${index}`);
}

/** Whether a file of this name is one that has to be unfolded: its bytes lie elsewhere than in the image. */
export function isSparseImage(name: string): boolean {
  return /\.simg(\.\d+)?$/.test(name);
}

function sparseName(image: string): string {
  return image.replace(/\.img$/, '.simg');
}

/** The image as one sparse file, whoever asks for it. */
export async function writeWholeSparse(image: WrittenDiskImage, sink: SinkOptions): Promise<ArtifactFile> {
  const [part] = planAndroidSparse(image.mapped, image.size) as readonly [SparsePart];
  const file = await writeSparse(image, sparseName(image.name), part, sink);
  return { ...file, ...(image.payload ? { payload: image.payload } : {}) };
}

/** Name of that file, and bytes of it at most. */
export function wholeSparse(image: PlannedDiskImage): { readonly name: string; readonly bytes: number } {
  const [part] = planAndroidSparse(image.mapped, image.size) as readonly [SparsePart];
  return { name: sparseName(image.name), bytes: sparsePartLimit(part) };
}

async function writeSparse(
  image: WrittenDiskImage,
  name: string,
  part: SparsePart,
  { progress, signal }: SinkOptions,
): Promise<ArtifactFile> {
  return await image.derive(name, async (path) => {
    const step = progress.start(`writing ${name}`, part.reduce((sum, { start, end }) => sum + end - start, 0)); // prettier-ignore
    const source = await open(image.path, 'r');
    try {
      const handle = await open(path, 'wx', 0o644);
      try {
        const target = fileWriter(handle, path);
        const hash = createHash('sha256');
        let size = 0;
        for await (const bytes of sparseBytes(source, image.size, part, (count) => step.advance(count))) {
          signal?.throwIfAborted();
          hash.update(bytes);
          await target.write(size, bytes);
          size += bytes.length;
        }
        await handle.sync();
        return { size, digest: `sha256:${hash.digest('hex')}` };
      } finally {
        await handle.close();
      }
    } finally {
      await source.close();
      step.end();
    }
  });
}
