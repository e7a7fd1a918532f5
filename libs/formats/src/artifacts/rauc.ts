import { createHash } from 'node:crypto';
import { link, open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFile } from '@boxship/disk';
import { makeFolder, runProgram, writeFileAtomically } from '@boxship/host';
import { MiB, type ArtifactOptions, type Variant } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { checkCertificate, signingCertificate } from '../cms/certificate.ts';
import { cmsSignature } from '../cms/signed-data.ts';
import type { DiskImageForm, PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';
import { certificateName, writeCertificate } from '../update/certificate-file.ts';
import { contentOf, imageBytes, updateImages, updateName, type UpdateImage } from '../update/update-images.ts';
import { updatePayload } from '../update/update-payload.ts';
import { writeVerityTree } from '../update/verity-tree.ts';

interface RaucOptions {
  readonly bundle: 'verity' | 'plain';
  readonly compatible?: string;
  readonly storeSlot: string;
  readonly rootfsSlot: string;
}

/** A bundle for RAUC (its reference, "Bundle Formats"): images and a manifest in a squashfs, and a CMS signature behind it. */
export const rauc: DiskImageForm = {
  name: 'rauc',
  readOptions: ({ content, bundle = 'verity', compatible, storeSlot = 'boxship-store', rootfsSlot = 'rootfs' }) => ({
    format: 'rauc',
    content: contentOf(content, 'rauc'),
    bundle: bundle as string,
    ...(compatible === undefined ? {} : { compatible: compatible as string }),
    storeSlot: storeSlot as string,
    rootfsSlot: rootfsSlot as string,
  }),
  checkKey: checkCertificate,
  describe: (options) => `rauc with content ${String(options['content'])}, bundle ${optionsOf(options).bundle}`,
  programs: () => ['mksquashfs'],
  async files(image, options) {
    return [fileName(image, options), certificateName(image)];
  },
  // the images, and at most as much again in the bundle: a squashfs is never larger than its files, but for tables
  bytesBeside: (image, options) => Math.ceil(imageBytes(image, options) * 2.02) + (1 << 20),
  async write(image, options, sink) {
    const name = fileName(image, options);
    const file = await image.derive(name, (path) => writeBundle(image, options, sink, path));
    return [file, ...(await writeCertificate(image, sink))];
  },
};

function optionsOf(options: ArtifactOptions): RaucOptions {
  return options as unknown as RaucOptions; // `readOptions` made them
}

function fileName(image: Pick<PlannedDiskImage, 'name'>, options: ArtifactOptions): string {
  return `${updateName(image, options)}${optionsOf(options).bundle === 'plain' ? '.plain' : ''}.raucb`;
}

/**
 * Arguments that make equal bytes with one version of mksquashfs, whoever runs it when and where. By itself it takes a quarter
 * of the memory.
 */
const squashfsOptions = (epoch: number) => [
  '-noappend', '-quiet', '-no-progress', '-all-root', '-no-xattrs', '-no-exports', '-comp', 'gzip', '-Xcompression-level', '6', '-b', '131072',
  '-mkfs-time', String(epoch), '-all-time', String(epoch), '-root-mode', '755', '-mem', '96M', '-processors', '2',
]; // prettier-ignore

/** Bytes, measured. */
const SQUASHFS_MEMORY = 34 * MiB;
/** A third of the share of a core that gzip has. */
const BEHIND_GZIP = 5;

async function writeBundle(
  image: WrittenDiskImage,
  options: ArtifactOptions,
  sink: SinkOptions,
  path: string,
): Promise<Omit<ArtifactFile, 'name'>> {
  const { progress, room, signal, signer } = sink;
  const step = progress.start(`writing ${fileName(image, options)}`);
  try {
    const { product, epoch } = image.variant;
    const certificate = await signingCertificate(signer, `${product} updates`);
    const images = await updateImages(image, options, signal);
    const manifest = manifestOf(image.variant, optionsOf(options), images);
    await image.share(`content of ${path}`, async (folder) => {
      const content = join(folder, `${basename(path)}.content`);
      await makeFolder(content);
      for (const { name, path: file } of images) await link(file, join(content, name));
      await writeFileAtomically(join(content, MANIFEST), manifest);
      const args = [content, path, ...squashfsOptions(epoch)];
      // it has two threads; for the one of gzip others wait
      const run = { niceness: image.isAlone ? 0 : BEHIND_GZIP, ...(signal ? { signal } : {}) };
      await room.take(SQUASHFS_MEMORY, () => runProgram('mksquashfs', args, run), signal);
    });
    const { size } = await stat(path); // mksquashfs pads to 4096
    const signature =
      optionsOf(options).bundle === 'plain'
        ? await cmsSignature({ digest: await digestOf(path) }, certificate, signer)
        : await cmsSignature({ attached: Buffer.from(await withVerity(path, size, manifest)) }, certificate, signer);
    await append(path, signature);
    const digests = images.map(({ digest }) => digest);
    const payload = updatePayload(image, options, [{ file: MANIFEST, text: manifest, digests }]);
    return { ...(await hashFile(path)), ...payload };
  } finally {
    step.end();
  }
}

const MANIFEST = 'manifest.raucm';

/** The manifest (RAUC reference, "Manifest"). */
function manifestOf(variant: Variant, options: RaucOptions, images: readonly UpdateImage[]): string {
  const { product, version, machine, name } = variant;
  const sections = images.map(({ role, name: file, digest, size }) => [
    `[image.${role === 'store' ? options.storeSlot : options.rootfsSlot}]`,
    `sha256=${digest.slice('sha256:'.length)}`,
    `size=${size}`,
    `filename=${file}`,
  ]);
  const update = [
    '[update]',
    `compatible=${options.compatible ?? `${product}-${machine.name}`}`,
    `version=${version}`,
    `description=${product} ${version}, variant ${name}`,
  ];
  return `${[update, ['[bundle]', `format=${options.bundle}`], ...sections].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Writes the hash tree behind the squashfs; the manifest that is signed then names it. */
async function withVerity(path: string, size: number, manifest: string): Promise<string> {
  const salt = createHash('sha256').update(manifest).digest(); // equal contents, equal bytes
  const file = await open(path, 'r+');
  try {
    const tree = await writeVerityTree(file, size, salt);
    const lines = [`verity-hash=${tree.rootHash}`, `verity-salt=${salt.toString('hex')}`, `verity-size=${tree.size}`];
    return manifest.replace('format=verity\n', `format=verity\n${lines.join('\n')}\n`);
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<Uint8Array> {
  const { digest } = await hashFile(path);
  return Buffer.from(digest.slice('sha256:'.length), 'hex');
}

/** The signature and its size, eight bytes big-endian, at the end of the file. */
async function append(path: string, signature: Uint8Array): Promise<void> {
  const { size } = await stat(path);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(signature.length));
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.concat([signature, length]), 0, signature.length + 8, size);
    await file.sync();
  } finally {
    await file.close();
  }
}
