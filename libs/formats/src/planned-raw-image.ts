import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { digestImage, type DigestOptions, type ImageDigests } from '@boxship/disk';
import { makeFolder, partialPath, sideBySide } from '@boxship/host';
import type { ArtifactOptions, ByteRange, Digest, Patch, Variant } from '@boxship/model';
import type { ArtifactFile } from './artifact-file.ts';
import type { PlannedArtifact, SinkOptions } from './artifact-format.ts';
import type { BaseDevice } from './base-image-format.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from './disk-image-form.ts';
import type { PayloadPart, PayloadPlan } from './payload.ts';
import { copiedRanges, emptyRanges, mappedRanges, openRawImage, type RawImagePlan } from './raw-artifact.ts';

/** A form of the image, and what was asked of it. */
export interface WantedForm {
  readonly form: DiskImageForm;
  readonly options: ArtifactOptions;
}

/** A disk image that is to be written. */
export interface DiskImageToWrite {
  readonly variant: Variant;
  readonly image: RawImagePlan;
  /** The disk that it is made of, as it came. */
  readonly vendor: Pick<BaseDevice, 'content' | 'table'>;
  /** What of it does not depend on the signing key, when that is known. */
  readonly payload?: PayloadPlan | undefined;
  readonly places: PlannedDiskImage['places'];
}

/**
 * What is the same for every disk image that is written, in every form that is wanted. `edit` says what takes the place of vendor
 * bytes, and has a folder for files on the way. Errors: those of the forms.
 */
export async function plannedRawImage(
  { variant, image, vendor, places, payload }: DiskImageToWrite,
  wanted: readonly WantedForm[],
  edit: (scratch: string) => Promise<readonly Patch[]>,
): Promise<Pick<PlannedArtifact, 'files' | 'bytesToWrite' | 'vendorBytes' | 'sources' | 'open'>> {
  const { filesystems, transplants = [] } = image;
  const mapped = mappedRanges(image);
  const outline: PlannedDiskImage = {
    variant,
    name: diskImageName(variant),
    size: image.deviceSize,
    mapped,
    places,
    base: vendor,
  };
  const files: string[] = [];
  for (const { form, options } of wanted) files.push(...(await form.files(outline, options)));
  return {
    files: [...new Set(files)],
    bytesToWrite:
      lengthOf(mapped) + wanted.reduce((sum, { form, options }) => sum + form.bytesBeside(outline, options), 0),
    vendorBytes: lengthOf(copiedRanges(image)) + transplants.reduce((sum, { content }) => sum + content.size, 0),
    sources: filesystems.flatMap(({ plan: filesystem }) => filesystem.sources()),
    async open(folder, { signal, onFailure = () => {}, imagesAtOnce } = {}) {
      const isReadAgain = !wanted.every(({ form, options }) => form.isImage?.(options));
      const patches = edit(folder); // programs, which run while threads are started
      patches.catch(() => {}); // told where it is waited for
      const writer = await openRawImage(join(folder, outline.name), image, { isReadAgain, imagesAtOnce }).catch(
        async (error: unknown) => {
          await patches.catch(() => {}); // nobody may use a folder that is removed
          throw error;
        },
      );
      const inMemory = ({ content }: PayloadPart) => content?.source.scatter !== undefined;
      const isKnown = (part: PayloadPart) => part.content?.digest !== undefined || inMemory(part);
      const readBack = payload?.parts.filter((part) => !isKnown(part)) ?? [];
      const wantedDigests: DigestOptions = {
        parts: readBack.map(({ ranges }) => ranges),
        ...{ zeros: emptyRanges(image), ...(signal ? { signal } : {}) },
      };
      // it follows behind the writers, from before the first byte until the last one is final and read
      const digests = digestImage(writer.path, mapped, {
        ...wantedDigests,
        ...{ written: writer.written, directWay: writer.directWay, handOver: writer.handOver },
      });
      digests.catch(onFailure); // and told where it is waited for
      let found: ImageDigests | undefined;
      const digestsOf = ({ parts }: PayloadPlan): readonly Digest[] => {
        const read = found!.parts.values();
        return parts.map((part) => {
          const { content } = part;
          const digest = isKnown(part)
            ? (content!.digest ?? writer.contentDigest(content!.start, content!.source))
            : read.next().value;
          if (digest) return digest;
          throw new Error(`nobody digested "${part.name}" of ${writer.path}`);
        });
      };
      return {
        writeFrame: (onBytes) => writer.writeFrame({ onBytes, patches }),
        contentWriters: (source) => writer.contentWriters(source),
        scatterTargets: (source) => writer.scatterTargets(source),
        async settle() {
          [found] = await Promise.all([digests, writer.finish()]);
          writer.endHandOver();
          if (writer.wasRewritten()) found = await digestImage(writer.path, mapped, wantedDigests);
        },
        finish: (sink) => {
          const written = {
            ...outline,
            digests: found!,
            ...(payload ? { payload: payload.payload(digestsOf(payload)) } : {}),
          };
          return writeForms(folder, written, wanted, sink);
        },
        async abandon() {
          await Promise.allSettled([patches, digests]); // nobody may use a file that is closed, or a folder that is removed
          writer.endHandOver();
          await writer.abandon();
        },
      };
    },
  };
}

function lengthOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Name of the plain image: `<product>-<version>-<machine>-<variant>.img`. */
function diskImageName({ product, version, machine, name }: Variant): string {
  return `${product}-${version}-${machine.name}-${name}.img`;
}

/**
 * Forms that are made at the same time. Each holds a few MiB of buffers; the programs that they start have bounds of their own, and a
 * form that waits for what another one makes is one of these, too.
 */
const FORMS_AT_ONCE = 6;

/**
 * Every file of every form, each once, in the order of the forms; the plain image goes unless it is one of them. The forms are made
 * side by side. Errors: that of the form that failed first, when all have ended.
 */
async function writeForms(
  folder: string,
  outline: PlannedDiskImage & Pick<WrittenDiskImage, 'digests' | 'payload'>,
  wanted: readonly WantedForm[],
  sink: SinkOptions,
): Promise<readonly ArtifactFile[]> {
  const made = new Map<string, Promise<ArtifactFile>>();
  const shared = new Map<string, Promise<unknown>>();
  const sharedFolder = partialPath(join(folder, `${outline.name}.parts`));
  let sharedReady: Promise<void> | undefined;
  const image: WrittenDiskImage = {
    ...outline,
    path: join(folder, outline.name),
    isAlone: wanted.length === 1,
    async derive(name, make) {
      const file = made.get(name) ?? make(join(folder, name)).then((facts) => ({ name, ...facts }));
      made.set(name, file);
      return await file;
    },
    async share<T>(name: string, make: (folder: string) => Promise<T>) {
      sharedReady ??= makeFolder(sharedFolder);
      const one = (shared.get(name) as Promise<T> | undefined) ?? sharedReady.then(() => make(sharedFolder));
      shared.set(name, one);
      return await one;
    },
  };
  const files = new Map<string, ArtifactFile>();
  try {
    const made = await sideBySide(
      wanted.map(
        ({ form, options }) =>
          (signal) =>
            form.write(image, options, { ...sink, signal }),
      ),
      { signal: sink.signal, atOnce: FORMS_AT_ONCE },
    );
    for (const file of made.flat()) files.set(file.name, file);
  } finally {
    await rm(sharedFolder, { recursive: true, force: true, maxRetries: 3 });
  }
  if (!files.has(outline.name)) await unlink(image.path);
  return [...files.values()];
}
