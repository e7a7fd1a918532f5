import { UserError, type Descriptor, type Digest } from '@boxship/model';
import { sha256Digest } from './image-source.ts';
import { parseManifest, TITLE } from './manifest.ts';
import { mediaTypes } from './media-type.ts';

/** A manifest on its way to a target. */
export interface ManifestToPut {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly artifactType: string;
  /** The manifest that it says something of; it is there already. */
  readonly subject?: Descriptor;
  /** Names it; absent for what is found by its subject. */
  readonly tag?: string;
}

export interface PutOptions {
  readonly signal?: AbortSignal;
  /** `count` more bytes are there. */
  readonly onBytes?: (count: number) => void;
}

/** A place that artifacts go to: a registry, an OCI layout. What is there already is not sent again. */
export interface ArtifactTarget extends AsyncDisposable {
  /** What messages call it. */
  readonly name: string;
  hasBlob(blob: Descriptor, signal?: AbortSignal): Promise<boolean>;
  /** Errors: DIGEST_MISMATCH when the file is not, or no longer, what `blob` says; nothing of it is kept then. */
  putBlob(blob: Descriptor, content: string | Uint8Array, options: PutOptions): Promise<void>;
  putManifest(manifest: ManifestToPut, signal?: AbortSignal): Promise<void>;
}

/** A file of an artifact. */
export interface FileToPush extends Descriptor {
  /** Where it lies. */
  readonly path: string;
  /** What it is called when it is pulled. */
  readonly title: string;
}

export interface ArtifactToPush {
  readonly artifactType: string;
  readonly files: readonly FileToPush[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly tag?: string;
  readonly subject?: Descriptor;
}

/** The empty configuration of an artifact (image-spec manifest.md "Guidance for an Empty Descriptor"). */
const EMPTY = Buffer.from('{}');

/**
 * Pushes files as one artifact (image-spec 1.1 manifest.md "Guidelines for Artifact Usage"), its manifest last: it appears whole or
 * not at all. Equal files give an equal manifest. Returns its descriptor. Errors: those of the target.
 */
export async function pushArtifact(
  target: ArtifactTarget,
  { artifactType, files, annotations, tag, subject }: ArtifactToPush,
  options: PutOptions = {},
): Promise<Descriptor> {
  const config: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: sha256Digest(EMPTY), size: EMPTY.length };
  const { signal, onBytes } = options;
  if (!(await target.hasBlob(config, signal))) await target.putBlob(config, EMPTY, signal ? { signal } : {});
  for (const { path, mediaType, digest, size } of files) {
    signal?.throwIfAborted();
    const blob = { mediaType, digest, size };
    if (await target.hasBlob(blob, signal)) onBytes?.(size);
    else await target.putBlob(blob, path, options);
  }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config,
      layers: files.map(({ mediaType, digest, size, title }) => ({
        mediaType,
        digest,
        size,
        annotations: { [TITLE]: title },
      })),
      ...(subject ? { subject } : {}),
      ...(annotations ? { annotations } : {}),
    }),
  );
  parseManifest(bytes, 'the manifest of the artifact', 'artifact'); // what we refuse to read we do not write
  const descriptor = { mediaType: mediaTypes.ociManifest, digest: sha256Digest(bytes), size: bytes.length };
  await target.putManifest(
    { descriptor, bytes, artifactType, ...(subject ? { subject } : {}), ...(tag === undefined ? {} : { tag }) },
    signal,
  );
  return descriptor;
}

/** DIGEST_MISMATCH for a file that changed after it was verified. */
export function fileChanged(blob: Descriptor, actual: Digest | string): UserError {
  return new UserError(
    'DIGEST_MISMATCH',
    `a file changed while it was pushed: it has the digest ${actual}, expected ${blob.digest}`,
    'Let nobody write into the folder, and push again.',
  );
}
