import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openTarRootfs } from '@boxship/filesystem';
import { openFileReader } from '@boxship/host';
import { MiB, UserError, type RandomReader, type Variant } from '@boxship/model';
import type { ArtifactExchange } from '../artifact-exchange.ts';
import type { PlannedPartition } from '../artifact-format.ts';
import type { BaseImage } from '../base-image-format.ts';
import { OWN_FILES, writtenFields, type TeziFields } from './compose-image-json.ts';
import { ownFileName, readOwnFiles } from './own-files.ts';
import { findTeziRootfs } from './find-rootfs.ts';
import type { TeziPartition } from './image-json.ts';
import { IMAGE_JSON } from './tezi-folder.ts';
import type { TeziImage } from './tezi-image.ts';
import { lastFileStart, type ArchivePart, type ArchivePlan } from './tezi-archive.ts';
import type { ArtifactFile } from '../artifact-file.ts';
import { exchangedPayload, isStorePart, placed, storeParts } from '../payload.ts';
import { bytesPart, planOnTezi, plannedArchive, vendorParts, wholePart } from './tezi-plan.ts';

/** Exchanges a half of an archive of ours: the image of the store, or all but that and the archive of the data. */
export const teziExchange: ArtifactExchange = {
  async findOwn(artifact) {
    const image = ownImage(artifact);
    const path = join(image.folder, OWN_FILES.socket);
    const overlaid = image.files.some(({ name }) => name === OWN_FILES.socket);
    return {
      store: await readLazily(join(image.folder, OWN_FILES.store)),
      foundAs: 'mbr', // by their file systems
      ...(overlaid
        ? { socket: await openTarRootfs(memoryReader(await readFile(path)), { name: OWN_FILES.socket }) }
        : {}),
    };
  },
  async planUpdate({ variant, from, file, store, signature }, [wanted]) {
    const image = ownImage(from);
    const json = otherApps(image, wanted!.options as TeziFields, variant);
    const parts: readonly ArchivePart[] = [
      bytesPart(IMAGE_JSON, Buffer.from(json)),
      ...vendorParts(image).filter(({ name }) => name !== OWN_FILES.store),
      { name: OWN_FILES.store, size: store.sizeBytes, filesystem: store },
    ];
    const layout = layoutOf(image, variant);
    const payload = ({ parts: placedParts }: ArchivePlan) => {
      const fresh = placedParts.flatMap(({ part, start }) =>
        part.name === OWN_FILES.store
          ? storeParts({ store, signature }, start)
          : wholePart(part.name, start, part.size),
      );
      return exchangedPayload(variant, undefined, file.payload, fresh);
    };
    return { ...plannedArchive(variant, parts, payload), table: layout, changes: [], warnings: [] };
  },
  async planRebase({ from, file, ...release }, [wanted]) {
    const image = ownImage(from);
    const { data } = ownPartitions(image);
    const part = (name: string): ArchivePart & { readonly size: number } =>
      vendorParts(image).find((one) => one.name === name)!;
    const pathOf = (option: string, written: string) => join(image.folder, ownFileName(option, written));
    return await planOnTezi(release, wanted!.options as TeziFields, {
      files: await readOwnFiles(wanted!.options, '/var', pathOf, release.variant.epoch),
      storeBytes: part(OWN_FILES.store).size,
      store: part(OWN_FILES.store),
      dataBytes: Number(data.partition_size_nominal) * MiB,
      dataContentBytes: Number(data.content?.uncompressed_size ?? 0) * MiB,
      data: part(OWN_FILES.data),
      payload: (start) => movedStore(file, part(OWN_FILES.store).size, start),
    });
  },
};

/** The store is the last file of an archive of ours (`planOnTezi`): its end tells where it begins. */
function movedStore({ size, payload }: Pick<ArtifactFile, 'size' | 'payload'>, bytes: number, start: number) {
  return payload?.parts
    .filter(({ name }) => isStorePart(name))
    .map(({ name, ranges }) => ({ name, ranges: placed(ranges, start - lastFileStart(size, bytes)) }));
}

/** Errors: NO_STORE. */
function ownImage({ tezi }: Pick<BaseImage, 'tezi'>): TeziImage {
  if (!tezi) throw new Error('an image for Toradex Easy Installer has an image.json');
  ownPartitions(tezi);
  return tezi;
}

/** Where the partitions of ours stand in image.json. Errors: NO_STORE. */
function ownPartitions(image: TeziImage): { readonly store: TeziPartition; readonly data: TeziPartition } {
  const all = (image.json.blockdevs ?? []).flatMap(({ partitions }) => partitions ?? []);
  const store = all.find(({ content }) => content?.rawfiles?.some(({ filename }) => filename === OWN_FILES.store));
  const data = all.find(({ content }) => content?.filename === OWN_FILES.data);
  if (store && data) return { store, data };
  throw new UserError(
    'NO_STORE',
    `image.json names no ${store ? OWN_FILES.data : OWN_FILES.store}: it holds no store of ours`,
    'Give an artifact that boxship compose made.',
    image.locate([]),
  );
}

/** image.json with the version of the new apps and what the product file sets; everything else as it was. */
function otherApps({ json }: TeziImage, fields: TeziFields, { version, epoch }: Variant): string {
  const changed = {
    ...json,
    ...(fields.name === undefined ? {} : { name: fields.name }),
    ...writtenFields(fields),
    version,
    release_date: new Date(epoch * 1000).toISOString().slice(0, 10),
  };
  return `${JSON.stringify(changed, null, 4)}\n`;
}

function layoutOf(image: TeziImage, { machine }: Variant) {
  const rootfs = findTeziRootfs(image, machine.rootfs);
  const own = ownPartitions(image);
  const [, i] = rootfs.path as [string, number];
  const device = image.json.blockdevs![i]!;
  const partitions = device.partitions!.map((partition, j): PlannedPartition => {
    const { partition_size_nominal, partition_type, content } = partition;
    const role = partition === own.store ? 'store' : partition === own.data ? 'data' : undefined;
    const name = role ? `boxship-${role}` : content?.label;
    return {
      number: j + 1,
      size: Number(partition_size_nominal) * MiB,
      type: partition_type ?? '',
      ...(name ? { name } : {}),
      role: role ?? (j + 1 === rootfs.partition ? 'rootfs' : 'vendor'),
    };
  });
  const layout = { size: partitions.reduce((sum, { size }) => sum + size, 0), partitions };
  return { type: device.table_type === 'gpt' ? ('gpt' as const) : ('mbr' as const), before: layout, after: layout };
}

/** A reader that holds the file open for one read at a time: nobody has to close it. */
async function readLazily(path: string): Promise<RandomReader> {
  const first = await openFileReader(path);
  const { size } = first;
  await first.close();
  return {
    size,
    async read(position, length) {
      await using reader = await openFileReader(path);
      return await reader.read(position, length);
    },
  };
}

function memoryReader(bytes: Uint8Array): RandomReader {
  return {
    size: bytes.length,
    read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)),
  };
}
