import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatPlatform, UserError, type Digest } from '@boxship/model';
import type { Cache } from '@boxship/host';
import { mustFind, readItems } from './docker-archive.ts';
import { openFolder, readWhole, type FileSet } from './file-set.ts';
import { CONFIG_SIZE_MAX, parseImageConfig } from './image-config.ts';
import { sha256Digest } from './image-source.ts';
import type { IndexEntry } from './manifest.ts';
import { entryNames, findBlob, readByDigest, readIndex } from './oci-layout.ts';
import { isImageEntry } from './platform-matching.ts';
import { openTarArchive } from './tar-archive.ts';

/** An image of a layout or an archive, one for each platform that is there. */
export interface ListedOciImage {
  readonly names: readonly string[];
  /** Digest of the configuration: docker's image id. */
  readonly id?: Digest;
  readonly manifest?: Digest;
  readonly platform?: string;
  readonly layers: number;
  /** Bytes of the layers as they lie there. */
  readonly size?: number;
  /** RFC 3339, as written. */
  readonly created?: string;
  /** Set for what is no container image: its type. */
  readonly artifactType?: string;
  /** The index names it for a platform, and its documents are not there. */
  readonly missing?: boolean;
}

export interface LocalImageList {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
  readonly images: readonly ListedOciImage[];
}

/** An index in an index in an index: nothing that exists has more. */
const NESTING_MAX = 4;

/**
 * What a layout or an archive of images holds, without reading a layer; undefined when `path` is neither. A `.tar.gz` is
 * inflated into the cache once. Errors: BAD_LAYOUT, BAD_ARCHIVE, DIGEST_MISMATCH and others of damaged ones.
 */
export async function listLocalImages(path: string, cache: Cache): Promise<LocalImageList | undefined> {
  if ((await stat(path)).isDirectory()) {
    if (!(await stat(join(path, 'oci-layout')).catch(() => undefined))) return undefined;
    return { kind: 'oci', images: await listLayout(openFolder(path, path)) };
  }
  let files: FileSet;
  try {
    files = await openTarArchive(path, path, cache);
  } catch (error) {
    if (error instanceof UserError && error.code === 'BAD_ARCHIVE') return undefined; // another format may know it
    throw error;
  }
  try {
    if (await files.find('oci-layout')) return { kind: 'oci-archive', images: await listLayout(files) };
    if (await files.find('manifest.json')) return { kind: 'docker-archive', images: await listArchive(files) };
    return undefined;
  } finally {
    await files.close();
  }
}

async function listLayout(files: FileSet): Promise<readonly ListedOciImage[]> {
  const found: ListedOciImage[] = [];
  for (const entry of (await readIndex(files)).manifests) {
    await listEntry(files, entry, entryNames(entry), 0, found);
  }
  return found;
}

async function listEntry(
  files: FileSet,
  entry: IndexEntry,
  names: readonly string[],
  depth: number,
  found: ListedOciImage[],
): Promise<void> {
  const { digest, artifactType, platform } = entry;
  const isImage = isImageEntry(entry);
  const common = { names, manifest: digest, ...(isImage ? {} : { artifactType: artifactType ?? entry.mediaType }) };
  const read = await readByDigest(files, isImage ? 'image' : 'artifact', digest).catch((error: unknown) => {
    if (error instanceof UserError && error.code === 'BLOB_MISSING') return undefined;
    throw error;
  });
  if (!read) {
    found.push({ ...common, ...(platform ? { platform: formatPlatform(platform) } : {}), layers: 0, missing: true });
    return;
  }
  const { document } = read;
  if (document.kind === 'index') {
    if (depth >= NESTING_MAX) throw new UserError('BAD_LAYOUT', `${files.name}: its indexes are nested too deep`);
    for (const one of document.manifests) await listEntry(files, one, names, depth + 1, found);
    return;
  }
  const size = document.layers.reduce((sum, layer) => sum + layer.size, 0);
  const count = { layers: document.layers.length, size };
  if (!isImage) {
    found.push({ ...common, ...count });
    return;
  }
  const { config } = document;
  const bytes = await readWhole(
    await findBlob(files, config.digest),
    CONFIG_SIZE_MAX,
    `configuration ${config.digest}`,
  );
  found.push({ ...common, id: config.digest, ...describeConfig(bytes, document.layers.length, files), ...count });
}

async function listArchive(files: FileSet): Promise<readonly ListedOciImage[]> {
  const found: ListedOciImage[] = [];
  for (const { tags, config, layers } of await readItems(files)) {
    const bytes = await readWhole(await mustFind(files, config), CONFIG_SIZE_MAX, `${config} of ${files.name}`);
    let size = 0;
    for (const layer of layers) size += (await mustFind(files, layer)).size;
    const described = describeConfig(bytes, layers.length, files);
    found.push({ names: tags, id: sha256Digest(bytes), ...described, layers: layers.length, size });
  }
  return found;
}

function describeConfig(bytes: Uint8Array, layers: number, files: FileSet) {
  const { platform, created } = parseImageConfig(bytes, layers, `a configuration of ${files.name}`);
  return { platform: formatPlatform(platform), ...(created === undefined ? {} : { created }) };
}
