import { join } from 'node:path';
import type { ImageDigests } from '@boxship/disk';
import type { ByteRange, Variant } from '@boxship/model';
import type { PlannedArtifact } from './artifact-format.ts';
import { copiedRanges, mappedRanges, openRawImage, type RawImagePlan } from './raw-artifact.ts';
import { digestWhileWritten, rawFileNames, rawImageName, writeRawFiles, type RawArtifactOptions } from './raw-files.ts';

/** What is the same for every disk image that is written. `edit` changes the rootfs when all vendor bytes are there. */
export function plannedRawImage(
  variant: Variant,
  image: RawImagePlan,
  options: readonly RawArtifactOptions[],
  edit: (path: string) => Promise<void>,
): Pick<PlannedArtifact, 'files' | 'bytesToWrite' | 'vendorBytes' | 'sources' | 'open'> {
  const { filesystems, transplants = [] } = image;
  return {
    files: [...new Set(options.flatMap((one) => rawFileNames(variant, one)))],
    bytesToWrite: lengthOf(mappedRanges(image)),
    vendorBytes: lengthOf(copiedRanges(image)) + transplants.reduce((sum, { content }) => sum + content.size, 0),
    sources: filesystems.flatMap(({ plan: filesystem }) => filesystem.sources()),
    async open(folder, { signal, onFailure = () => {} } = {}) {
      const writer = await openRawImage(join(folder, rawImageName(variant)), image);
      const digests = digestWhileWritten(writer, image, signal);
      digests.catch(onFailure); // and told where it is waited for
      let found: ImageDigests | undefined;
      return {
        writeFrame: (onBytes) => writer.writeFrame({ onBytes, edit }),
        contentWriters: (source) => writer.contentWriters(source),
        scatterTargets: (source) => writer.scatterTargets(source),
        async settle() {
          [found] = await Promise.all([digests, writer.finish()]);
        },
        finish: (sink) => writeRawFiles(writer.path, found!, options, sink),
        async abandon() {
          await digests.catch(() => {}); // nobody may use a file that is closed
          await writer.abandon();
        },
      };
    },
  };
}

function lengthOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
