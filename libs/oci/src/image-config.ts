import { isDigest, type Digest, type Platform } from '@boxship/model';
import { documentError, isObject, optionalText, parseJsonObject, type DocumentDoor, type JsonObject } from './json-document.ts'; // prettier-ignore

/** Image configurations above this are refused: they are read into memory. */
export const CONFIG_SIZE_MAX = 8 * 1024 * 1024;

/** What we rely on in an image configuration (image-spec config.md "Properties"). */
export interface ImageConfig {
  readonly platform: Platform;
  /** Digests of the uncompressed layers, bottom layer first. */
  readonly diffIds: readonly Digest[];
  /** RFC 3339, as written. */
  readonly created?: string;
  /** `config`: what a container starts with (`Env`, `Cmd`, `Volumes`, …), as written. */
  readonly config: JsonObject;
}

/** The image configuration that `bytes` are; `layerCount` is what its manifest lists. Errors: BAD_IMAGE_CONFIG. */
export function parseImageConfig(bytes: Uint8Array, layerCount: number, subject: string): ImageConfig {
  const door: DocumentDoor = { subject, code: 'BAD_IMAGE_CONFIG' };
  const object = parseJsonObject(bytes, door);
  const architecture = optionalText(object, 'architecture', door);
  const os = optionalText(object, 'os', door);
  if (!architecture || !os) throw documentError(door, `it lacks "${architecture ? 'os' : 'architecture'}"`);
  const variant = optionalText(object, 'variant', door);
  const rootfs = object['rootfs'];
  if (!isObject(rootfs) || rootfs['type'] !== 'layers') throw documentError(door, '"rootfs" is not of type "layers"');
  const list = rootfs['diff_ids'] ?? [];
  if (!Array.isArray(list)) throw documentError(door, '"rootfs.diff_ids" is not a list');
  const diffIds = list.map((value: unknown, position): Digest => {
    if (typeof value !== 'string' || !isDigest(value)) {
      throw documentError(door, `rootfs.diff_ids[${position}] is not a sha256 digest`);
    }
    return value;
  });
  if (diffIds.length !== layerCount) {
    throw documentError(
      door,
      `it has ${diffIds.length} diff_ids, the manifest has ${layerCount} layers`,
      'Build the image again.',
    );
  }
  const created = optionalText(object, 'created', door);
  const config = object['config'];
  return {
    platform: { os, architecture, ...(variant ? { variant } : {}) },
    diffIds,
    ...(created === undefined ? {} : { created }),
    config: isObject(config) ? config : {},
  };
}
