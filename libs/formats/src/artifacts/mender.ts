import { createHash } from 'node:crypto';
import { join } from 'node:path';
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
import { contentOf, imageBytes, updateName, withImages, type UpdateImage } from '../update/update-images.ts';
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
  { progress, signal, signer }: SinkOptions,
  path: string,
): Promise<Omit<ArtifactFile, 'name'>> {
  const step = progress.start(`writing ${fileName(image, options)}`);
  try {
    const { epoch } = image.variant;
    const stop = signal ? { signal } : {};
    const payload = await withImages(image, options, signal, async ([inside], folder) => {
      const data = join(folder, '0000.tar');
      await writeTarFile(data, [{ name: inside!.name, path: inside!.path, size: inside!.size }], epoch, signal);
      const packed = optionsOf(options).compression === 'gz';
      if (packed) await runProgram('gzip', [...GZIP, '--', data], stop);

      const header = join(folder, 'header.tar');
      const headers = headerFiles(image.variant, optionsOf(options), inside!);
      await writeTarFile(header, headers, epoch, signal);
      await runProgram('gzip', [...GZIP, '--', header], stop);

      const version = Buffer.from('{"format":"mender","version":3}');
      const manifest = Buffer.from(
        [
          `${digestHex(inside!.digest)}  data/0000/${inside!.name}`,
          `${digestHex((await hashFile(`${header}.gz`)).digest)}  header.tar.gz`,
          `${createHash('sha256').update(version).digest('hex')}  version`,
          '',
        ].join('\n'),
      );
      const archive = packed ? `${data}.gz` : data;
      await writeTarFile(
        path,
        [
          { name: 'version', bytes: version },
          { name: 'manifest', bytes: manifest },
          { name: 'manifest.sig', bytes: Buffer.from(await rawSignature(signer, manifest)) },
          { name: 'header.tar.gz', path: `${header}.gz`, size: (await hashFile(`${header}.gz`)).size },
          { name: `data/0000.tar${packed ? '.gz' : ''}`, path: archive, size: (await hashFile(archive)).size },
        ],
        epoch,
        signal,
      );
      const digests = [inside!.digest];
      return updatePayload(image, options, headers.map(({ name, bytes }) => ({ file: name, text: bytes, digests }))); // prettier-ignore
    });
    return { ...(await hashFile(path)), ...payload };
  } finally {
    step.end();
  }
}

/** No name and no time in it: equal bytes. */
const GZIP = ['-n', '-6'];

type TarFile = { readonly name: string } & (
  { readonly bytes: Uint8Array } | { readonly path: string; readonly size: number }
);

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
    for (const file of files) {
      const size = 'bytes' in file ? file.bytes.length : file.size;
      const entry: TreeEntry = {
        path: file.name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: epoch, mtimeNanoseconds: 0, size,
      }; // prettier-ignore
      await archive.appendFile(tarHeader(entry));
      if ('bytes' in file) await archive.appendFile(file.bytes);
      else await appendFile(archive, file.path, size, signal);
      await archive.appendFile(Buffer.alloc(-size & 511));
    }
    await archive.appendFile(Buffer.alloc(1024));
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
