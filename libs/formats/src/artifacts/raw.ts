import { join } from 'node:path';
import {
  appendPartitions,
  findDataEnd,
  linuxFilesystemType,
  serializePartitionTable,
  type ImageDigests,
} from '@boxship/disk';
import { editExt4 } from '@boxship/filesystem';
import { MiB, UserError, type ArtifactOptions, type Partition } from '@boxship/model';
import {
  changesOf,
  type ArtifactFormat,
  type ArtifactRelease,
  type PlannedArtifact,
  type PlannedPartition,
} from '../artifact-format.ts';
import type { BaseDevice } from '../base-image-format.ts';
import type { Rootfs } from '../find-rootfs.ts';
import { copiedRanges, mappedRanges, openRawImage, type RawImagePlan } from '../raw-artifact.ts';
import {
  compressorOf,
  digestWhileWritten,
  rawFileNames,
  rawImageName,
  writeRawFiles,
  type RawArtifactOptions,
} from '../raw-files.ts';

/** The image of a whole disk, plain or compressed, with a block map. */
export const raw: ArtifactFormat = {
  name: 'raw',
  readOptions: ({ compression = 'none', bmap = true }) => ({
    format: 'raw',
    compression: compression as string,
    bmap: bmap === true,
  }),
  describe: (options) => `raw with compression ${optionsOf(options).compression}`,
  programs: (options) => compressorOf(optionsOf(options).compression),
  plan,
};

function optionsOf(options: ArtifactOptions): RawArtifactOptions {
  return options as unknown as RawArtifactOptions; // `readOptions` made them
}

/** Alignment of our partitions: the erase block of common eMMC and SD cards. */
const PARTITION_ALIGNMENT = 4 * MiB;

async function plan(release: ArtifactRelease, wanted: readonly ArtifactOptions[]): Promise<PlannedArtifact> {
  const { variant, store, data, identity } = release;
  const { device, rootfs } = onDisk(release);
  const type = linuxFilesystemType(device.table);
  const appended = appendPartitions(
    device.table,
    device.content.size,
    [
      { name: 'boxship-store', type, partitionUuid: identity('store-partition'), size: store.sizeBytes },
      { name: 'boxship-data', type, partitionUuid: identity('data-partition'), size: data.sizeBytes },
    ],
    { alignment: PARTITION_ALIGNMENT, after: await findDataEnd(device.content, device.table) },
  );
  const [storePartition, dataPartition] = appended.added as readonly [Partition, Partition];
  const { epoch } = variant;
  const socket = release.socket(device.table.type);
  const edited = socket.entries.length > 0;
  const edits = edited ? await release.rootfs.planEdit(socket.entries, { epoch }) : [];

  const whole = { start: 0, end: Math.min(device.content.size, appended.deviceSize) };
  const rootfsRange = { start: rootfs.partition.start, end: rootfs.partition.start + rootfs.partition.size };
  const image: RawImagePlan = {
    base: device,
    deviceSize: appended.deviceSize,
    patches: await serializePartitionTable(appended.table, appended.deviceSize, device.content),
    stale: appended.stale,
    filesystems: [
      { start: storePartition.start, plan: store },
      { start: dataPartition.start, plan: data },
    ],
    baseMapped: device.bmap ? [...device.bmap.ranges, ...(edited ? [rootfsRange] : [])] : [whole],
  };
  const role = (number: number): PlannedPartition['role'] => {
    if (number === storePartition.number) return 'store';
    if (number === dataPartition.number) return 'data';
    return number === rootfs.partition.number ? 'rootfs' : 'vendor';
  };
  // ours have numbers that were free, so that a number tells the role before and after
  const planned = ({ attributes: _attributes, ...partition }: Partition): PlannedPartition => ({
    ...partition,
    role: role(partition.number),
  });
  const sum = (ranges: readonly { readonly start: number; readonly end: number }[]) =>
    ranges.reduce((total, { start, end }) => total + end - start, 0);
  const options = wanted.map(optionsOf);
  return {
    files: [...new Set(options.flatMap((one) => rawFileNames(variant, one)))],
    table: {
      type: device.table.type,
      before: { size: device.content.size, partitions: device.table.partitions.map(planned) },
      after: { size: appended.deviceSize, partitions: appended.table.partitions.map(planned) },
    },
    changes: changesOf(edits, socket),
    warnings: [],
    bytesToWrite: sum(mappedRanges(image)),
    vendorBytes: sum(copiedRanges(image)),
    sources: image.filesystems.flatMap(({ plan: filesystem }) => filesystem.sources()),
    async open(folder, { signal, onFailure = () => {} } = {}) {
      const writer = await openRawImage(join(folder, rawImageName(variant)), image);
      const digests = digestWhileWritten(writer, image, signal);
      digests.catch(onFailure); // and told where it is waited for
      let found: ImageDigests | undefined;
      return {
        async writeFrame(onBytes) {
          await writer.writeFrame({
            onBytes,
            edit: async (path) => {
              if (edited) await editExt4(path, rootfs.partition.start, socket.entries, { epoch });
            },
          });
        },
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

/** The disk whose bytes the vendor gives. Errors: BASE_IS_NO_DISK. */
function onDisk({ base, rootfs }: ArtifactRelease): { readonly device: BaseDevice; readonly rootfs: Rootfs } {
  const [device] = base.devices;
  if (device && rootfs.onDisk) return { device, rootfs: rootfs.onDisk };
  throw new UserError(
    'BASE_IS_NO_DISK',
    'the base image holds parts for an installer, not the image of a disk: the artifact "raw" cannot be made of it',
    'Give the vendor\'s image of the whole disk (.wic, .img), or ask for "artifacts: [tezi]".',
  );
}
