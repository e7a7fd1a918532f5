import { type Descriptor, type Digest, type Platform } from '@boxship/model';
import {
  documentError, isObject, optionalText, parseDescriptor, parseJsonObject, textMap, type DocumentDoor, type JsonObject,
} from './json-document.ts'; // prettier-ignore
import {
  isConfigType, isForeignLayer, isIndexType, isManifestType, layerCompression, mediaTypes,
} from './media-type.ts'; // prettier-ignore

/** Manifests and indexes above this are refused (distribution-spec 1.1 "Pushing Manifests": at least 4 MiB must be taken). */
export const MANIFEST_SIZE_MAX = 4 * 1024 * 1024;

/** An entry of an index (image-spec image-index.md `manifests`; docker manifest-v2-2.md "Manifest List"). */
export interface IndexEntry extends Descriptor {
  readonly platform?: Platform;
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

/** image-spec image-index.md, or a docker manifest list. */
export interface Index {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly IndexEntry[];
}

/** image-spec manifest.md, or docker's manifest-v2-2.md: an image for one platform. */
export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Bottom layer first. */
  readonly layers: readonly ManifestLayer[];
  /** Of an artifact. */
  readonly artifactType?: string;
  /** Digest of the manifest that this one says something of. */
  readonly subject?: Digest;
}

/** A layer; in an artifact, `title` is the name of its file (annotation `org.opencontainers.image.title`). */
export interface ManifestLayer extends Descriptor {
  readonly title?: string;
}

/** image-spec annotations.md: what `oras push` calls a file. */
export const TITLE = 'org.opencontainers.image.title';

/** What a manifest is read as: a container image, or an artifact, whose configuration and layers may be of any type. */
export type ManifestKind = 'image' | 'artifact';

/**
 * The index or image manifest that `bytes` are, every field checked that we rely on. What it is, its own bytes say, never
 * the one who served them, so that it is the same from a registry and from the cache: without a `mediaType` of its own
 * it is OCI's (docker's always have one). `subject` names it in messages. Errors: BAD_MANIFEST.
 */
export function parseManifest(bytes: Uint8Array, subject: string, as: ManifestKind = 'image'): Index | Manifest {
  const door: DocumentDoor = { subject, code: 'BAD_MANIFEST' };
  if (bytes.length > MANIFEST_SIZE_MAX) {
    throw documentError(door, `it has ${bytes.length} bytes, ${MANIFEST_SIZE_MAX} are allowed`);
  }
  const object = parseJsonObject(bytes, door);
  if (object['schemaVersion'] === 1) {
    throw documentError(
      door,
      'it is a docker schema 1 manifest, which newer engines refuse as well',
      'Push the image again with a current docker or buildah; that makes a schema 2 or OCI manifest.',
    );
  }
  if (object['schemaVersion'] !== 2) {
    throw documentError(door, `its schemaVersion is ${JSON.stringify(object['schemaVersion'])}, not 2`);
  }
  // image-spec GHSA-77vh-xpmg-72qh (CVE-2021-41190): what can be read as both is refused
  if ('manifests' in object && ('layers' in object || 'config' in object)) {
    throw documentError(door, 'it claims to be an index and a manifest at once');
  }
  const own = optionalText(object, 'mediaType', door);
  const isIndex = 'manifests' in object;
  const known = isIndex ? isIndexType : isManifestType;
  if (own !== undefined && !known(own)) {
    throw documentError(
      door,
      `its media type is "${own}"`,
      'Container images are OCI or docker v2 schema 2 manifests.',
    );
  }
  const type = own ?? (isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  return isIndex ? readIndex(object, type, door) : readManifest(object, type, door, as);
}

function readIndex(object: JsonObject, mediaType: string, door: DocumentDoor): Index {
  const list = object['manifests'];
  if (!Array.isArray(list)) throw documentError(door, '"manifests" is not a list');
  const manifests = list.map((value: unknown, position): IndexEntry => {
    const descriptor = parseDescriptor(value, `manifests[${position}]`, door);
    const entry = value as JsonObject;
    const platform = readPlatform(entry['platform'], `manifests[${position}]`, door);
    const artifactType = optionalText(entry, 'artifactType', door);
    return {
      ...descriptor,
      ...(platform === undefined ? {} : { platform }),
      annotations: textMap(entry['annotations']),
      ...(artifactType === undefined ? {} : { artifactType }),
    };
  });
  return { kind: 'index', mediaType, manifests };
}

function readPlatform(value: unknown, where: string, door: DocumentDoor): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw documentError(door, `${where} has a platform that is not an object`);
  const variant = optionalText(value, 'variant', door);
  return {
    os: optionalText(value, 'os', door) ?? '',
    architecture: optionalText(value, 'architecture', door) ?? '',
    ...(variant ? { variant } : {}),
  };
}

function readManifest(object: JsonObject, mediaType: string, door: DocumentDoor, as: ManifestKind): Manifest {
  if (!('config' in object)) throw documentError(door, 'it has no "config"');
  const config = parseDescriptor(object['config'], 'config', door);
  if (as === 'image' && !isConfigType(config.mediaType)) {
    throw documentError(
      door,
      `its configuration is of type "${config.mediaType}", so it is not a container image`,
      'Signatures, SBOMs, Helm charts and other artifacts cannot be run; name the image itself.',
    );
  }
  const list = object['layers'];
  if (!Array.isArray(list)) throw documentError(door, '"layers" is not a list');
  const layers = list.map((value: unknown, position): ManifestLayer => {
    const layer = parseDescriptor(value, `layers[${position}]`, door);
    if (as === 'artifact') {
      const title = textMap((value as JsonObject)['annotations'])[TITLE];
      return { ...layer, ...(title === undefined ? {} : { title }) };
    }
    if (isForeignLayer(layer.mediaType)) {
      throw documentError(
        door,
        `layers[${position}] (${layer.digest}) may not be distributed ("${layer.mediaType}")`,
        'Rebuild the image on a base without foreign layers; Windows base images have them.',
      );
    }
    if (layerCompression(layer.mediaType) === undefined) {
      throw documentError(
        door,
        `layers[${position}] is of type "${layer.mediaType}"`,
        'Image layers are tar archives: uncompressed, gzip or zstd. Encrypted layers must be decrypted first.',
      );
    }
    return layer;
  });
  if (as === 'image') return { kind: 'manifest', mediaType, config, layers };
  const artifactType = optionalText(object, 'artifactType', door);
  const subject = object['subject'] === undefined ? undefined : parseDescriptor(object['subject'], 'subject', door);
  return {
    ...{ kind: 'manifest', mediaType, config, layers },
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: subject.digest }),
  };
}
