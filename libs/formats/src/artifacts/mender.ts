import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { hashFile } from '@boxship/disk';
import { tarHeader } from '@boxship/filesystem';
import { runProgram } from '@boxship/host';
import { digestHex, type ArtifactOptions, type TreeEntry, type Variant } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { spkiOf, type UpdateSigner } from '../cms/certificate.ts';
import { readDer } from '../cms/der.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';
import { appendFile, writeNewArchive } from '../update/archive-file.ts';
import {
  compressedImage,
  contentOf,
  imageBytes,
  updateImages,
  updateName,
  type UpdateImage,
} from '../update/update-images.ts';
import { updatePayload } from '../update/update-payload.ts';

interface MenderOptions {
  readonly content: 'apps' | 'system';
  readonly compression: 'none' | 'gz';
  readonly deviceType?: string;
  readonly module: string;
}

/** A Mender artifact, version 3 (mender-artifact, Documentation/artifact-format-v3.md). */
export const mender: DiskImageForm = {
  name: 'mender',
  readOptions: ({ content, compression = 'gz', deviceType, module = 'boxship-store' }) => ({
    format: 'mender',
    content: contentOf(content, 'mender', ['apps', 'system']),
    compression: compression as string,
    ...(deviceType === undefined ? {} : { deviceType: deviceType as string }),
    module: module as string,
  }),
  checkKey: ({ publicKeyPem }) => void spkiOf(publicKeyPem),
  describe: (options) => `mender with content ${optionsOf(options).content}`,
  programs: () => ['gzip'],
  async files(image, options) {
    return [fileName(image, options)];
  },
  bytesBeside: (image, options) => Math.ceil(imageBytes(image, options) * 4.04) + (1 << 20),
  async write(image, options, sink) {
    return [await image.derive(fileName(image, options), (path) => writeArtifact(image, options, sink, path))];
  },
};

function optionsOf(options: ArtifactOptions): MenderOptions {
  return options as unknown as MenderOptions; // `readOptions` made them
}

function fileName(image: Pick<PlannedDiskImage, 'name'>, options: ArtifactOptions): string {
  return `${updateName(image, options)}.mender`;
}

async function writeArtifact(
  image: WrittenDiskImage,
  options: ArtifactOptions,
  sink: SinkOptions,
  path: string,
): Promise<Omit<ArtifactFile, 'name'>> {
  const { progress, signal, signer } = sink;
  const step = progress.start(`writing ${fileName(image, options)}`);
  try {
    const { epoch } = image.variant;
    const [inside] = await updateImages(image, options, signal);
    const headers = headerFiles(image.variant, optionsOf(options), inside!);
    const header = await packedHeader(image, path, headers, signal);
    const version = Buffer.from('{"format":"mender","version":3}');
    const manifest = Buffer.from(
      [
        `${digestHex(inside!.digest)}  data/0000/${inside!.name}`,
        `${createHash('sha256').update(header).digest('hex')}  header.tar.gz`,
        `${createHash('sha256').update(version).digest('hex')}  version`,
        '',
      ].join('\n'),
    );
    await writeTarFile(
      path,
      [
        { name: 'version', pieces: [version] },
        { name: 'manifest', pieces: [manifest] },
        { name: 'manifest.sig', pieces: [Buffer.from(await rawSignature(signer, manifest))] },
        { name: 'header.tar.gz', pieces: [header] },
        await dataArchive(image, inside!, optionsOf(options), sink),
      ],
      epoch,
      signal,
    );
    const digests = [inside!.digest];
    const payload = updatePayload(image, options, headers.map(({ name, bytes }) => ({ file: name, text: bytes, digests }))); // prettier-ignore
    return { ...(await hashFile(path)), ...payload };
  } finally {
    step.end();
  }
}

/** No name and no time in it: equal bytes. */
const GZIP = ['-n', '-6'];

/** Bytes that are there, or those of a file. */
type Piece = Uint8Array | { readonly path: string; readonly size: number };

interface TarFile {
  readonly name: string;
  /** One after another. */
  readonly pieces: readonly Piece[];
}

async function packedHeader(
  image: WrittenDiskImage,
  path: string,
  headers: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return await image.share(`header of ${path}`, async (folder) => {
    const file = join(folder, `${basename(path)}.header.tar`);
    const files = headers.map(({ name, bytes }): TarFile => ({ name, pieces: [bytes] }));
    await writeTarFile(file, files, image.variant.epoch, signal);
    await runProgram('gzip', [...GZIP, '--', file], signal ? { signal } : {});
    return await readFile(`${file}.gz`);
  });
}

/**
 * The archive of the payload. A gzip file is one or more members (RFC 1952, 2.2): the image is the one that SWUpdate takes, too, so that
 * it is compressed once; what tar has before and behind it are members that store their bytes.
 */
async function dataArchive(
  image: WrittenDiskImage,
  inside: UpdateImage,
  { compression }: MenderOptions,
  sink: SinkOptions,
): Promise<TarFile> {
  const before = tarHeader(fileEntry(inside.name, inside.size, image.variant.epoch));
  const behind = Buffer.alloc((-inside.size & 511) + TAR_END);
  if (compression === 'none') return { name: 'data/0000.tar', pieces: [before, inside, behind] };
  const packed = await compressedImage(image, inside, 'gz', sink);
  return { name: 'data/0000.tar.gz', pieces: [storedMember(before), packed, storedMember(behind)] };
}

/** A member of a gzip file whose one deflate block is stored (RFC 1951, 3.2.4): the same bytes with every zlib. */
function storedMember(bytes: Uint8Array): Uint8Array {
  const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0]);
  head.writeUInt16LE(bytes.length, 11);
  head.writeUInt16LE(~bytes.length & 0xffff, 13);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc32(bytes), 0);
  tail.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes, tail]);
}

/** Two blocks of zeros end an archive. */
const TAR_END = 1024;

function fileEntry(path: string, size: number, mtime: number): TreeEntry {
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime, mtimeNanoseconds: 0, size };
}

/** What the payload is and which devices take it. */
function headerFiles(
  { product, version, name, machine }: Variant,
  { content, deviceType, module }: MenderOptions,
  payload: UpdateImage,
): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const type = content === 'system' ? 'rootfs-image' : module;
  const provides = content === 'system' ? 'rootfs-image' : module;
  return [
    {
      name: 'header-info',
      bytes: json({
        payloads: [{ type }],
        artifact_provides: { artifact_name: `${product}-${version}-${name}${content === 'apps' ? '-apps' : ''}` },
        artifact_depends: { device_type: [deviceType ?? machine.name] },
      }),
    },
    {
      name: 'headers/0000/type-info',
      bytes: json({
        type,
        artifact_provides: {
          [`${provides}.version`]: version,
          ...(content === 'system' ? { 'rootfs-image.checksum': digestHex(payload.digest) } : {}),
        },
        clears_artifact_provides: [`${provides}.*`],
      }),
    },
    { name: 'headers/0000/meta-data', bytes: json({}) },
  ];
}

/** Writes a tar archive of plain files, in this order; the same bytes for equal files. */
async function writeTarFile(
  path: string,
  files: readonly TarFile[],
  epoch: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await writeNewArchive(path, async (archive) => {
    for (const { name, pieces } of files) {
      const size = pieces.reduce((sum, piece) => sum + ('path' in piece ? piece.size : piece.length), 0);
      await archive.appendFile(tarHeader(fileEntry(name, size, epoch)));
      for (const piece of pieces) {
        if ('path' in piece) await appendFile(archive, piece.path, piece.size, signal);
        else await archive.appendFile(piece);
      }
      await archive.appendFile(Buffer.alloc(-size & 511));
    }
    await archive.appendFile(Buffer.alloc(TAR_END));
  });
}

/** Base64 of r and s, 32 bytes each, as Mender has signatures of P-256. */
async function rawSignature(signer: UpdateSigner, bytes: Uint8Array): Promise<string> {
  spkiOf(signer.publicKeyPem); // refuses every other kind of key
  const signature = Buffer.from(await signer.sign(createHash('sha256').update(bytes).digest()));
  const numbers = readDer(readDer(signature)[0]!.body).map(({ body }) => {
    const short = body.length > 32 ? body.subarray(body.length - 32) : body;
    return Buffer.concat([Buffer.alloc(32 - short.length), short]);
  });
  return Buffer.concat(numbers).toString('base64');
}
