import { MiB } from '@boxship/model';
import type { OwnFile } from './own-files.ts';
import {
  FILELIST_FORMAT,
  type TeziBlockDevice,
  type TeziContent,
  type TeziImageJson,
  type TeziPartition,
} from './image-json.ts';
import type { TeziRootfs } from './find-rootfs.ts';
import type { TeziImage } from './tezi-image.ts';

/** What is put beside the vendor's files; a vendor who has files of these names is refused. */
export const OWN_FILES = {
  socket: 'boxship-socket.tar',
  store: 'boxship-store.img',
  data: 'boxship-data.tar',
} as const;

/** Fields of image.json that a product may set, besides those that name files. */
export interface TeziFields {
  readonly name?: string;
  readonly description?: string;
  /** Installs without a question as soon as the installer sees the image. */
  readonly autoinstall?: boolean;
  /** Of the window with the licence, and of that with the release notes. */
  readonly licenseTitle?: string;
  readonly releaseNotesTitle?: string;
}

export interface ImageJsonChanges {
  readonly fields: TeziFields;
  readonly files: readonly OwnFile[];
  readonly product: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly epoch: number;
  /** Bytes that `socket` unpacks to; absent when the rootfs gets nothing. */
  readonly socketBytes?: number;
  /** Bytes of the store's file system, and of the data partition as shipped. */
  readonly storeBytes: number;
  readonly dataBytes: number;
  /** Bytes that `data` unpacks to. */
  readonly dataContentBytes: number;
  /** UUID of the data's file system, by which the device finds it. */
  readonly dataUuid: string;
}

/** Type of a partition for Linux in an MBR. */
const LINUX = '83';

/**
 * The vendor's image.json with our partitions behind those of the rootfs' device, and the socket unpacked over the rootfs by
 * its `filelist`. Every field that is not named here stays as it is, in its order; config_format is the vendor's, or more
 * where it must be. Text, with a newline at the end.
 */
export function composeImageJson(image: TeziImage, rootfs: TeziRootfs, changes: ImageJsonChanges): string {
  const { files, socketBytes } = changes;
  const unpacked: readonly Unpacked[] = [
    ...(socketBytes === undefined ? [] : [{ entry: `${OWN_FILES.socket}:/:true`, bytes: socketBytes }]),
    ...files.flatMap(({ name, unpacked: to }) => (to ? [{ entry: `${name}:${to.folder}:true`, bytes: to.bytes }] : [])),
  ];
  const { json } = image;
  const [, device, , partition] = rootfs.path as [string, number, string, number];
  const blockdevs = json.blockdevs!.map((blockdev, i): TeziBlockDevice => {
    if (i !== device) return blockdev;
    const partitions = blockdev.partitions!.map((one, j) => (j === partition ? withFiles(one, unpacked) : one));
    return { ...blockdev, partitions: [...partitions, ...ownPartitions(blockdev, changes)] };
  });
  const composed = { ...json, ...commonFields(image, changes, unpacked.length > 0), blockdevs };
  return `${JSON.stringify(composed, null, 4)}\n`;
}

/** The fields of the root that change, whatever is added. */
export function commonFields(
  { json, configFormat }: TeziImage,
  {
    fields,
    files,
    product,
    version,
    epoch,
  }: Pick<ImageJsonChanges, 'fields' | 'files' | 'product' | 'version' | 'epoch'>,
  hasFiles: boolean,
): Partial<TeziImageJson> & Record<string, unknown> {
  return {
    config_format: hasFiles ? Math.max(configFormat, FILELIST_FORMAT) : configFormat,
    name: fields.name ?? `${json.name} with ${product}`,
    ...writtenFields(fields),
    ...Object.fromEntries(files.flatMap(({ field, name }) => (field ? [[field, name]] : []))),
    version,
    release_date: new Date(epoch * 1000).toISOString().slice(0, 10),
  };
}

/** Fields of image.json as the product file has them; those that it leaves out are the vendor's. */
export function writtenFields(fields: TeziFields): Record<string, unknown> {
  const { description, autoinstall, licenseTitle, releaseNotesTitle } = fields;
  const all = { description, autoinstall, license_title: licenseTitle, releasenotes_title: releaseNotesTitle };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** What the installer unpacks over the rootfs: an entry of `filelist`, and the bytes that it takes there. */
export interface Unpacked {
  readonly entry: string;
  readonly bytes: number;
}

/** The partition or UBI volume with what is unpacked into it. */
export function withFiles<T extends { readonly content?: TeziContent }>(partition: T, files: readonly Unpacked[]): T {
  if (files.length === 0) return partition;
  const content = partition.content!;
  const size = Number(content.uncompressed_size ?? 0);
  return {
    ...partition,
    content: {
      ...content,
      uncompressed_size: size + inMiB(files.reduce((sum, { bytes }) => sum + bytes, 0)),
      filelist: [...(content.filelist ?? []), ...files.map(({ entry }) => entry)],
    },
  };
}

/**
 * The store as it is, byte for byte, because layers hold what no archive brings through every installer (whiteouts, attributes
 * of overlayfs); the data as a file system that the installer makes in the size of the device.
 */
function ownPartitions(
  { table_type }: TeziBlockDevice,
  { storeBytes, dataBytes, dataContentBytes, dataUuid }: ImageJsonChanges,
): readonly TeziPartition[] {
  const type = table_type === 'gpt' ? {} : { partition_type: LINUX };
  return [
    {
      partition_size_nominal: Math.ceil(inMiB(storeBytes)),
      want_maximised: false,
      ...type,
      content: {
        filesystem_type: 'raw',
        uncompressed_size: inMiB(storeBytes),
        rawfiles: [{ filename: OWN_FILES.store }],
      },
    },
    {
      partition_size_nominal: Math.ceil(inMiB(dataBytes)),
      want_maximised: true,
      ...type,
      content: {
        label: 'boxship-data',
        filesystem_type: 'ext4',
        mkfs_options: `-U ${dataUuid}`,
        filename: OWN_FILES.data,
        uncompressed_size: inMiB(dataContentBytes),
      },
    },
  ];
}

function inMiB(bytes: number): number {
  return bytes / MiB;
}
