import type { BaseImage } from '@boxship/formats';
import { readerSlice, type Problem } from '@boxship/model';
import { inspectFilesystem } from './inspect-filesystem.ts';
import type { InspectedDevice, InspectedPartition } from './inspection.ts';

/** Partition types that hold other partitions, or stand for the whole disk. */
const CONTAINERS = new Set(['05', '0f', '85', 'ee']);

/** The devices of an open image, each partition with what is in it. */
export async function inspectDevices(
  image: BaseImage,
  publicKeyPem: string | undefined,
): Promise<readonly InspectedDevice[]> {
  const devices: InspectedDevice[] = [];
  for (const { name, table, content } of image.devices) {
    const partitions: InspectedPartition[] = [];
    for (const { number, name: label, start, size, type, partitionUuid } of table.partitions) {
      const problems: Problem[] = [];
      const holdsNone = CONTAINERS.has(type);
      const filesystem = holdsNone
        ? undefined
        : await inspectFilesystem(readerSlice(content, start, size), publicKeyPem, problems);
      partitions.push({
        number,
        ...(label === undefined ? {} : { name: label }),
        start,
        size,
        type,
        uuid: partitionUuid,
        ...(filesystem ? { filesystem } : {}),
        problems,
      });
    }
    const { type, sectorSize, diskId } = table;
    devices.push({ name, size: content.size, table: type, sectorSize, diskId, partitions });
  }
  return devices;
}
