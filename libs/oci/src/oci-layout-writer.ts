import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { digestHex, type Descriptor, type Digest, type Platform } from '@boxship/model';
import { partialPath, writeFileAtomically } from '@boxship/host';
import { sha256Digest } from './image-source.ts';
import { parseManifest } from './manifest.ts';
import { layerCompression, mediaTypes } from './media-type.ts';
import { normalizePlatform } from './platform-matching.ts';
import { formatReference, parseReference } from './reference.ts';

/** A layer to write: its blob as it shall lie in the layout, in a file or as a stream of bytes. */
export interface LayerToWrite {
  readonly blob: string | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** One of the layer media types; it must fit the bytes. */
  readonly mediaType: string;
  /** Digest of the uncompressed tar. Counted while writing when absent, which zstd layers do not allow. */
  readonly diffId?: Digest;
}

export interface ImageToWrite {
  /** Images of one reference and several platforms share an index. */
  readonly reference: string;
  readonly platform: Platform;
  /** `config` of the image configuration: `Env`, `Cmd`, `Entrypoint`, `WorkingDir`, … */
  readonly config?: Readonly<Record<string, unknown>>;
  /** RFC 3339. Default: 1970-01-01T00:00:00Z. */
  readonly created?: string;
  /** Bottom layer first. */
  readonly layers: readonly LayerToWrite[];
}

export interface WrittenImage {
  readonly reference: string;
  readonly platform: Platform;
  /** Of the index when the reference has several platforms, else of the manifest. */
  readonly top: Descriptor;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/**
 * Writes an OCI image layout (image-spec image-layout.md) into `folder`, which is made if needed: the same bytes for the
 * same images, always. An index.json that is there is replaced; blobs are kept.
 */
export async function writeOciLayout(
  folder: string,
  images: readonly ImageToWrite[],
): Promise<readonly WrittenImage[]> {
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const groups = new Map<string, { image: ImageToWrite; parts: Omit<WrittenImage, 'top'> }[]>();
  for (const image of images) {
    const reference = formatReference(parseReference(image.reference));
    const parts = await writeImage(folder, image, reference);
    groups.set(reference, [...(groups.get(reference) ?? []), { image, parts }]);
  }
  const written: WrittenImage[] = [];
  const entries: unknown[] = [];
  for (const [reference, members] of groups) {
    const [first] = members;
    const manifests = members.map(({ parts }) => ({ ...parts.manifest, platform: parts.platform }));
    const top =
      members.length === 1
        ? first!.parts.manifest
        : await writeDocument(folder, mediaTypes.ociIndex, {
            schemaVersion: 2,
            mediaType: mediaTypes.ociIndex,
            manifests,
          });
    const annotations = { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference };
    entries.push({ ...top, ...(members.length === 1 ? { platform: first!.parts.platform } : {}), annotations });
    written.push(...members.map(({ parts }) => ({ ...parts, top })));
  }
  await writeFileAtomically(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  await writeFileAtomically(join(folder, 'index.json'), JSON.stringify(index));
  return written;
}

async function writeImage(folder: string, image: ImageToWrite, reference: string): Promise<Omit<WrittenImage, 'top'>> {
  const platform = normalizePlatform(image.platform);
  const layers: Descriptor[] = [];
  const diffIds: Digest[] = [];
  for (const layer of image.layers) {
    const { descriptor, diffId } = await writeLayer(folder, layer);
    layers.push(descriptor);
    diffIds.push(diffId);
  }
  const config = await writeDocument(folder, mediaTypes.ociConfig, {
    created: image.created ?? '1970-01-01T00:00:00Z',
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config: image.config ?? {},
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  parseManifest(Buffer.from(JSON.stringify(manifest)), `the manifest of ${reference}`); // what we refuse to read we do not write
  return {
    reference,
    platform,
    manifest: await writeDocument(folder, mediaTypes.ociManifest, manifest),
    config,
    layers,
  };
}

async function writeDocument(folder: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = sha256Digest(bytes);
  await writeFileAtomically(blobFile(folder, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

function blobFile(folder: string, digest: Digest): string {
  return join(folder, 'blobs/sha256', digestHex(digest));
}

async function writeLayer(folder: string, layer: LayerToWrite): Promise<{ descriptor: Descriptor; diffId: Digest }> {
  const bytes = typeof layer.blob === 'string' ? createReadStream(layer.blob) : layer.blob;
  const aside = partialPath(join(folder, 'blobs/sha256/layer'));
  const hash = createHash('sha256');
  let size = 0;
  const handle = await open(aside, 'wx', 0o644);
  try {
    for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      await handle.writeFile(chunk);
      size += chunk.length;
    }
    await handle.chmod(0o644);
    await handle.close();
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    const diffId = layer.diffId ?? (await uncompressedDigest(aside, layer.mediaType, digest));
    await rename(aside, blobFile(folder, digest));
    return { descriptor: { mediaType: layer.mediaType, digest, size }, diffId };
  } finally {
    await handle.close().catch(() => {});
    await rm(aside, { force: true });
  }
}

async function uncompressedDigest(file: string, mediaType: string, digest: Digest): Promise<Digest> {
  const compression = layerCompression(mediaType);
  if (compression === 'none') return digest;
  if (compression !== 'gzip') throw new Error(`a layer of type ${mediaType} needs its diffId`);
  const hash = createHash('sha256');
  const inflated = createReadStream(file).pipe(createGunzip());
  for await (const chunk of inflated) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
