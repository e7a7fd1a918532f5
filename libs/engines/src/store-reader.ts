import type { RootfsReader } from '@boxship/filesystem';
import { digestHex, isDigest, MiB, UserError, type BytePath, type Digest } from '@boxship/model';

/** An image that a container engine has in its store, as far as the store tells without an engine. */
export interface ListedImage {
  /** Names with tags, as the engine lists them, sorted; none when nothing has a name for it. */
  readonly names: readonly string[];
  /** Digest of the configuration: docker's image id. */
  readonly id?: Digest;
  /** Digest of the manifest that it was pulled by. */
  readonly manifest?: Digest;
  /** `linux/arm64`. */
  readonly platform?: string;
  readonly layers?: number;
  /** When it was built, RFC 3339, as written. */
  readonly created?: string;
  /** containerd's namespace. */
  readonly namespace?: string;
}

/** What one kind of container engine keeps its images in. One module for each. */
export interface StoreReader {
  readonly name: string;
  /** Where a device has such a store, absolute. */
  readonly places: readonly string[];
  /** The images of the store in `folder`, sorted by their first name; undefined when there is none of this kind. Errors: BAD_STORE. */
  read(files: RootfsReader, folder: BytePath): Promise<readonly ListedImage[] | undefined>;
}

/** Documents of an engine above this are refused: they are read into memory. */
const DOCUMENT_MAX = 16 * MiB;

/** A JSON document of a store; undefined when there is no such file. Errors: BAD_STORE. */
export async function readDocument(files: RootfsReader, path: BytePath): Promise<unknown> {
  const text = await files.readText(path, DOCUMENT_MAX);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError('BAD_STORE', `/${path} is not JSON: the store is damaged, or its engine was writing to it`);
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The digest that a document has at a place; undefined for anything else. */
export function digestIn(value: unknown): Digest | undefined {
  return typeof value === 'string' && isDigest(value) ? value : undefined;
}

/** What the image configuration in a file tells (image-spec config.md); nothing when it is not there or none. */
export async function readConfiguration(files: RootfsReader, path: BytePath): Promise<Partial<ListedImage>> {
  const config = await readDocument(files, path);
  if (!isRecord(config)) return {};
  const { os, architecture, variant, created, rootfs } = config;
  const layers = isRecord(rootfs) && Array.isArray(rootfs['diff_ids']) ? rootfs['diff_ids'].length : undefined;
  const parts = [os, architecture, variant].filter((part) => typeof part === 'string' && part !== '');
  return {
    ...(parts.length >= 2 ? { platform: parts.join('/') } : {}),
    ...(layers === undefined ? {} : { layers }),
    ...(typeof created === 'string' ? { created } : {}),
  };
}

/** `blobs/sha256/<hex>`: where stores of the OCI kind have a blob. */
export function blobAt(folder: BytePath, digest: Digest): BytePath {
  return `${folder}/blobs/sha256/${digestHex(digest)}`;
}

export function sortImages(images: readonly ListedImage[]): readonly ListedImage[] {
  const key = ({ namespace, names, id, manifest }: ListedImage) =>
    [namespace ?? '', names[0] ?? '\uffff', id ?? manifest ?? ''].join('\0');
  return [...images].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
