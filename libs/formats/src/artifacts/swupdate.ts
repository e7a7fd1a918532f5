import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { hashFile } from '@boxship/disk';
import { sideBySide } from '@boxship/host';
import { UserError, type ArtifactOptions, type Digest, type Variant } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { checkCertificate, signingCertificate } from '../cms/certificate.ts';
import { cmsSignature } from '../cms/signed-data.ts';
import { compressorOf, type FileCompression } from '../compress-file.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';
import { appendFile, writeNewArchive } from '../update/archive-file.ts';
import { certificateName, writeCertificate } from '../update/certificate-file.ts';
import { cpioHeader, cpioPadding, cpioTrailer, checksumFile, sumOf } from '../update/cpio.ts';
import {
  contentOf,
  imageBytes,
  imageFileName,
  rolesOf,
  updateName,
  compressedImage,
  updateImages,
  type UpdateImage,
} from '../update/update-images.ts';
import { updatePayload } from '../update/update-payload.ts';

interface SwupdateOptions {
  readonly compression: 'none' | 'zlib' | 'zstd';
  readonly hardware: string;
  readonly storeDevice: string;
  readonly rootfsDevice?: string;
}

/** A .swu file for SWUpdate: sw-description, its CMS signature and the images in a cpio archive. */
export const swupdate: DiskImageForm = {
  name: 'swupdate',
  readOptions: ({
    content,
    compression = 'zlib',
    hardware = '1.0',
    storeDevice = '/dev/boxship/store',
    rootfsDevice,
  }) => {
    const options: ArtifactOptions = {
      format: 'swupdate',
      content: contentOf(content, 'swupdate'),
      compression: compression as string,
      hardware: hardware as string,
      storeDevice: storeDevice as string,
      ...(rootfsDevice === undefined ? {} : { rootfsDevice: rootfsDevice as string }),
    };
    if (rootfsDevice !== undefined || !rolesOf(options).includes('rootfs')) return options;
    throw new UserError(
      'NO_ROOTFS_DEVICE',
      'SWUpdate writes to the device that the .swu names, and none is given for the rootfs',
      'Write swupdate: { rootfsDevice: /dev/… }: the slot that is not running.',
    );
  },
  checkKey: checkCertificate,
  describe: (options) => `swupdate with content ${String(options['content'])}`,
  programs: (options) => compressorOf(COMPRESSIONS[optionsOf(options).compression] ?? 'none'),
  async files(image, options) {
    // what is compressed may fit, which only its writing tells
    if (optionsOf(options).compression === 'none') {
      for (const role of rolesOf(options)) cpioHeader({ name: imageFileName(role), size: image.places[role].size, mtime: 0, checksum: 0 }); // prettier-ignore
    }
    return [fileName(image, options), certificateName(image)];
  },
  bytesBeside: (image, options) => Math.ceil(imageBytes(image, options) * 3.03) + (1 << 20),
  async write(image, options, sink) {
    const file = await image.derive(fileName(image, options), (path) => writeSwu(image, options, sink, path));
    return [file, ...(await writeCertificate(image, sink))];
  },
};

function optionsOf(options: ArtifactOptions): SwupdateOptions {
  return options as unknown as SwupdateOptions; // `readOptions` made them
}

function fileName(image: Pick<PlannedDiskImage, 'name'>, options: ArtifactOptions): string {
  return `${updateName(image, options)}.swu`;
}

/** SWUpdate calls gzip "zlib". */
const COMPRESSIONS: Readonly<Record<SwupdateOptions['compression'], FileCompression | undefined>> = {
  none: undefined,
  zlib: 'gz',
  zstd: 'zst',
};

/** An image as it lies in the archive. */
interface Member {
  readonly image: UpdateImage;
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

async function writeSwu(
  image: WrittenDiskImage,
  options: ArtifactOptions,
  sink: SinkOptions,
  path: string,
): Promise<Omit<ArtifactFile, 'name'>> {
  const { progress, signal, signer } = sink;
  const step = progress.start(`writing ${fileName(image, options)}`);
  try {
    const certificate = await signingCertificate(signer, `${image.variant.product} updates`);
    const compression = COMPRESSIONS[optionsOf(options).compression];
    const images = await updateImages(image, options, signal);
    const members = await sideBySide(
      images.map((one) => async (stop): Promise<Member> => {
        const file = compression ? await compressedImage(image, one, compression, { ...sink, signal: stop }) : one;
        return { ...file, image: one };
      }),
      { signal },
    );
    const description = Buffer.from(descriptionOf(image.variant, optionsOf(options), members));
    const digest = createHash('sha256').update(description).digest();
    const signature = await cmsSignature({ digest }, certificate, signer);
    await writeNewArchive(path, async (archive) => {
      // SWUpdate reads it as a stream: what describes and proves the images comes before them
      await writeBytes(archive, DESCRIPTION, description, image.variant.epoch);
      await writeBytes(archive, 'sw-description.sig', signature, image.variant.epoch);
      for (const member of members) await writeMember(archive, member, image.variant.epoch, signal);
      await archive.appendFile(cpioTrailer());
    });
    const digests = members.map((member) => member.digest);
    const payload = updatePayload(image, options, [{ file: DESCRIPTION, text: description, digests }]);
    return { ...(await hashFile(path)), ...payload };
  } finally {
    step.end();
  }
}

const DESCRIPTION = 'sw-description';

/** The description in libconfig's syntax (SWUpdate, "sw-description: syntax and tags"). Values are ASCII without quotes. */
function descriptionOf(
  { product, version, name }: Variant,
  options: SwupdateOptions,
  members: readonly Member[],
): string {
  const { compression, hardware, storeDevice, rootfsDevice } = options;
  const images = members.map(({ image, name: file, digest }) => {
    const device = image.role === 'store' ? storeDevice : rootfsDevice!;
    return [
      `\t\t\tfilename = "${file}";`,
      `\t\t\tname = "${image.role}";`,
      `\t\t\tversion = "${version}";`,
      '\t\t\ttype = "raw";',
      `\t\t\tdevice = "${device}";`,
      ...(compression === 'none' ? [] : [`\t\t\tcompressed = "${compression}";`]),
      '\t\t\tinstalled-directly = true;', // a stream to the device: no room for the image is needed
      `\t\t\tsha256 = "${digest.slice('sha256:'.length)}";`,
    ].join('\n');
  });
  return `software =
{
\tversion = "${version}";
\tdescription = "${product} ${version}, variant ${name}";
\thardware-compatibility: [ "${hardware}" ];
\timages: (
\t\t{
${images.join('\n\t\t},\n\t\t{\n')}
\t\t}
\t);
}
`;
}

async function writeBytes(archive: FileHandle, name: string, bytes: Uint8Array, epoch: number): Promise<void> {
  await archive.appendFile(cpioHeader({ name, size: bytes.length, mtime: epoch, checksum: sumOf(bytes) }));
  await archive.appendFile(bytes);
  await archive.appendFile(cpioPadding(bytes.length));
}

async function writeMember(
  archive: FileHandle,
  { name, path, size }: Member,
  epoch: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await archive.appendFile(cpioHeader({ name, size, mtime: epoch, checksum: await checksumFile(path) }));
  await appendFile(archive, path, size, signal);
  await archive.appendFile(cpioPadding(size));
}
