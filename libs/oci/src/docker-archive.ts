import { createHash } from 'node:crypto';
import { isDigest, UserError, type Descriptor, type Digest } from '@boxship/model';
import { readWhole, type FileSet, type StoredFile } from './file-set.ts';
import { CONFIG_SIZE_MAX, parseImageConfig } from './image-config.ts';
import { digestMismatch, sha256Digest, type FoundManifest, type ImageSource } from './image-source.ts';
import { isObject } from './json-document.ts';
import { MANIFEST_SIZE_MAX, parseManifest } from './manifest.ts';
import { mediaTypes } from './media-type.ts';
import { hasPlainLayersOnly, isSameName, ociLayoutSource } from './oci-layout.ts';
import { familiarName, formatReference, type Reference } from './reference.ts';

/** An entry of manifest.json (moby image/tarexport/tarexport.go `manifestItem`). */
interface ArchiveItem {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

interface ArchiveImage extends FoundManifest {
  readonly descriptor: Descriptor;
  /** Where the configuration and the layers lie. */
  readonly blobs: ReadonlyMap<Digest, StoredFile>;
}

/**
 * The images of an archive that `docker save` wrote, any version, or skopeo, podman, buildx, crane and bazel in its
 * format. Since docker 25 it is an OCI layout as well, and read as such. Older ones hold no manifest: an OCI manifest is
 * made, the same on every host, and marked `synthesized`. `wanted`: as in `docker-archive:FILE:wanted`.
 * Errors: BAD_ARCHIVE, IMAGE_NOT_FOUND (which lists the names), DIGEST_MISMATCH.
 */
export async function dockerArchiveSource(files: FileSet, wanted?: string): Promise<ImageSource> {
  if ((await files.find('index.json')) && (await files.find('oci-layout'))) {
    const layout = await ociLayoutSource(files, wanted);
    return {
      ...layout,
      async find(reference) {
        const found = await layout.find(reference);
        // docker's classic store makes this manifest up on saving: its digest is in no registry
        return hasPlainLayersOnly(found) ? { ...found, origin: 'synthesized' } : found;
      },
    };
  }
  const items = await readItems(files);
  const images = new Map<ArchiveItem, Promise<ArchiveImage>>();
  const blobs = new Map<Digest, StoredFile>();
  const readImage = async (item: ArchiveItem): Promise<ArchiveImage> => {
    let image = images.get(item);
    if (!image) images.set(item, (image = synthesize(files, item)));
    for (const [digest, file] of (await image).blobs) blobs.set(digest, file);
    return await image;
  };
  const findBlob = async (digest: Digest): Promise<StoredFile> => {
    // a pinned manifest may come from the cache, so nobody has asked for an image yet
    if (!blobs.has(digest)) for (const item of items) await readImage(item);
    const file = blobs.get(digest);
    if (!file) throw new UserError('BLOB_MISSING', `${files.name} lacks the blob ${digest}`, 'Save the image again.');
    return file;
  };
  const close = () => files.close();
  return {
    name: files.name,
    parallel: 2,
    async find(reference) {
      if (reference.digest === undefined) return await readImage(pickItem(items, wanted, reference, files.name));
      for (const item of items) {
        const image = await readImage(item);
        if (image.descriptor.digest === reference.digest) return image;
      }
      throw new UserError('IMAGE_NOT_FOUND', `${files.name} holds no image with the digest ${reference.digest}`, 'Was it saved again since the lock was written? Run "boxship lock".'); // prettier-ignore
    },
    async *openBlob(_reference, blob, { offset, signal }) {
      yield* (await findBlob(blob.digest)).open(offset, signal);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** manifest.json of an archive. Errors: BAD_ARCHIVE. */
export async function readItems(files: FileSet): Promise<readonly ArchiveItem[]> {
  const wrong = (why: string, hint = 'Save the image again with a current docker.') =>
    new UserError('BAD_ARCHIVE', `${files.name} is not what "docker save" writes: ${why}`, hint);
  const file = await files.find('manifest.json');
  if (!file) {
    if (await files.find('index.json')) throw wrong('it is an OCI archive', 'Use oci-archive:FILE.');
    if (await files.find('repositories'))
      throw wrong('it was written by docker older than 1.10, without image digests');
    throw wrong('it has no manifest.json', 'A root file system ("docker export") is not an image: use "docker save".');
  }
  const bytes = await readWhole(file, MANIFEST_SIZE_MAX, `manifest.json of ${files.name}`);
  let list: unknown;
  try {
    list = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw wrong('manifest.json is not JSON');
  }
  if (!Array.isArray(list)) throw wrong('manifest.json is not a list');
  return list.map((value: unknown, position) => {
    const item = isObject(value) ? value : {};
    const { Config: config, Layers: layers, RepoTags: tags } = item;
    const isTextList = (field: unknown): field is string[] =>
      Array.isArray(field) && field.every((text) => typeof text === 'string');
    if (typeof config !== 'string') throw wrong(`manifest.json[${position}] has no "Config"`);
    if (!isTextList(layers ?? [])) throw wrong(`manifest.json[${position}] has no list "Layers"`);
    if (!isTextList(tags ?? [])) throw wrong(`manifest.json[${position}] has no list "RepoTags"`);
    return { config, layers: (layers ?? []) as string[], tags: (tags ?? []) as string[] };
  });
}

/** Names of the images of an archive, as `docker save` was given them. Errors: BAD_ARCHIVE. */
export async function archivedNames(files: FileSet): Promise<readonly string[]> {
  return (await readItems(files)).flatMap(({ tags }) => tags);
}

function pickItem(
  items: readonly ArchiveItem[],
  wanted: string | undefined,
  reference: Reference,
  source: string,
): ArchiveItem {
  // skopeo's docker-archive:FILE:@2 counts the images from 0
  const position = /^@(\d+)$/.exec(wanted ?? '')?.[1];
  const asked = wanted ?? formatReference(reference);
  const named =
    position === undefined
      ? items.find((item) => item.tags.some((tag) => isSameName(tag, asked)))
      : items[Number(position)];
  const item = named ?? (wanted === undefined && items.length === 1 ? items[0] : undefined);
  if (item) return item;
  const listed = items.map((one, at) => one.tags[0] ?? `@${at} (no name)`);
  throw new UserError(
    'IMAGE_NOT_FOUND',
    `${source} holds no image "${wanted ?? familiarName(reference)}"; it holds ${listed.join(', ') || 'nothing'}`,
    'Add the name to the end of "from", as in docker-archive:FILE:name, or @0 for the first.',
  );
}

/** An OCI manifest for an image that came without one: fixed order of keys, so that equal images get equal digests. */
async function synthesize(files: FileSet, item: ArchiveItem): Promise<ArchiveImage> {
  const configFile = await mustFind(files, item.config);
  const configBytes = await readWhole(configFile, CONFIG_SIZE_MAX, `${item.config} of ${files.name}`);
  const digest = sha256Digest(configBytes);
  // `<hex>.json` (docker before 25, skopeo), `sha256:<hex>` (crane), `blobs/sha256/<hex>`
  const named = `sha256:${/([0-9a-f]{64})(?:\.json)?$/.exec(item.config)?.[1] ?? ''}`;
  if (isDigest(named) && named !== digest) throw digestMismatch(item.config, named, digest, files.name);
  const { diffIds } = parseImageConfig(configBytes, item.layers.length, `${item.config} of ${files.name}`);

  const blobs = new Map<Digest, StoredFile>([[digest, configFile]]);
  const layers: Descriptor[] = [];
  for (const [position, path] of item.layers.entries()) {
    const file = await mustFind(files, path);
    const layer = await describeLayer(file, diffIds[position]!);
    blobs.set(layer.digest, file);
    layers.push(layer);
  }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest, size: configBytes.length },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    }),
  );
  const descriptor = { mediaType: mediaTypes.ociManifest, digest: sha256Digest(bytes), size: bytes.length };
  return { descriptor, bytes, document: parseManifest(bytes, files.name), origin: 'synthesized', blobs };
}

/** Errors: BAD_ARCHIVE. */
export async function mustFind(files: FileSet, path: string): Promise<StoredFile> {
  const file = await files.find(path);
  if (file) return file;
  throw new UserError(
    'BAD_ARCHIVE',
    `${files.name} lacks "${path}", which its manifest.json names`,
    'Save the image again.',
  );
}

/**
 * The descriptor of a layer as it lies in the archive. A plain tar's digest is the diff_id, verified when it is read;
 * crane and bazel store gzip, whose digest has to be counted here.
 */
async function describeLayer(file: StoredFile, diffId: Digest): Promise<Descriptor> {
  const { size } = file;
  let start = Buffer.alloc(0);
  for await (const chunk of file.open()) {
    start = Buffer.from(chunk.subarray(0, 4));
    break;
  }
  const isGzip = start[0] === 0x1f && start[1] === 0x8b;
  const isZstd = start.length === 4 && start.readUInt32BE(0) === 0x28b52ffd;
  if (!isGzip && !isZstd) return { mediaType: mediaTypes.ociLayerTar, digest: diffId, size };
  const hash = createHash('sha256');
  for await (const chunk of file.open()) hash.update(chunk);
  const mediaType = isGzip ? mediaTypes.ociLayerGzip : mediaTypes.ociLayerZstd;
  return { mediaType, digest: `sha256:${hash.digest('hex')}`, size };
}
