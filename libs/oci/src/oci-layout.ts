import { digestHex, formatPlatform, UserError, type Descriptor, type Digest } from '@boxship/model';
import { parseJsonObject } from './json-document.ts';
import { readWhole, type FileSet } from './file-set.ts';
import { digestMismatch, sha256Digest, sizeMismatch, type FoundManifest, type ImageSource } from './image-source.ts'; // prettier-ignore
import { MANIFEST_SIZE_MAX, parseManifest, type Index, type IndexEntry, type ManifestKind } from './manifest.ts';
import { mediaTypes } from './media-type.ts';
import { isArtifactEntry, isImageEntry } from './platform-matching.ts';
import { familiarName, formatReference, parseReference, type Reference } from './reference.ts';

/** image-spec annotations.md; skopeo, podman and crane write a tag or a whole reference here. */
const REF_NAME = 'org.opencontainers.image.ref.name';
/** The whole reference, as containerd (`docker save` since 25) and buildx write it. */
const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * The images of an OCI image layout (image-spec image-layout.md), folder or archive. `wanted` is the name to take
 * (`oci:DIR:wanted`); without it the only image is taken, or the one that has the name that is asked for.
 * Errors: BAD_LAYOUT, IMAGE_NOT_FOUND (which lists the names), BLOB_MISSING, DIGEST_MISMATCH, SIZE_MISMATCH.
 */
export async function ociLayoutSource(files: FileSet, wanted?: string): Promise<ImageSource> {
  const index = await readIndex(files);
  const close = () => files.close();
  return {
    name: files.name,
    parallel: 2,
    find: async (reference, _signal, as = 'image') => {
      if (reference.digest !== undefined) return await readByDigest(files, as, reference.digest);
      const entries = pickEntries(index, wanted, reference, files.name, as);
      const [first] = entries;
      if (entries.length === 1 && first) return await readByDigest(files, as, first.digest, first.size);
      const document: Index = { ...index, manifests: entries };
      return { bytes: new Uint8Array(), document, origin: 'source' };
    },
    async referrers(_reference, subject, artifactType) {
      const found: Digest[] = [];
      for (const entry of index.manifests) {
        if (entry.artifactType !== artifactType) continue;
        const { document } = await readByDigest(files, 'artifact', entry.digest, entry.size);
        if (document.kind === 'manifest' && document.subject === subject) found.push(entry.digest);
      }
      return found;
    },
    async *openBlob(_reference, blob, { offset, signal }) {
      yield* (await findBlob(files, blob.digest)).open(offset, signal);
    },
    blobFile: async (blob) => (await findBlob(files, blob.digest)).path,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** index.json of a layout. Errors: BAD_LAYOUT. */
export async function readIndex(files: FileSet): Promise<Index> {
  const file = await files.find('index.json');
  if (!file) {
    throw new UserError(
      'BAD_LAYOUT',
      `${files.name} is no OCI layout: it has no index.json`,
      (await files.find('manifest.json'))
        ? 'It is what "docker save" writes: use docker-archive:FILE.'
        : 'Make one with: docker buildx build -o type=oci,dest=app.tar (then oci-archive:app.tar), or skopeo copy … oci:DIR:name.',
    );
  }
  const marker = await files.find('oci-layout');
  if (marker) {
    const door = { subject: `oci-layout of ${files.name}`, code: 'BAD_LAYOUT' };
    const version = parseJsonObject(await readWhole(marker, 4096, door.subject), door)['imageLayoutVersion'];
    if (version !== '1.0.0') {
      throw new UserError(
        'BAD_LAYOUT',
        `${files.name} has the layout version ${JSON.stringify(version)}, 1.0.0 is known`,
      );
    }
  }
  const subject = `index.json of ${files.name}`;
  const document = parseManifest(await readWhole(file, MANIFEST_SIZE_MAX, subject), subject);
  if (document.kind !== 'index') throw new UserError('BAD_LAYOUT', `${subject} is not an index`);
  return document;
}

/** Entries of index.json for one image: one, or several that share a name and differ in their platforms. */
function pickEntries(
  index: Index,
  wanted: string | undefined,
  reference: Reference,
  source: string,
  as: ManifestKind,
): IndexEntry[] {
  const images = index.manifests.filter(as === 'image' ? isImageEntry : isArtifactEntry);
  const asked = wanted ?? formatReference(reference);
  const named = images.filter((entry) => entryNames(entry).some((name) => isSameName(name, asked)));
  // a tag alone (skopeo, buildx) names the image when nothing better does
  const tagged = images.filter((entry) => wanted === undefined && entry.annotations[REF_NAME] === reference.tag);
  const all = wanted === undefined ? [named, tagged, images] : [named];
  const found = all.find((entries) => entries.length > 0 && isOneImage(entries));
  if (found) return found[0] && found.every((entry) => entry.digest === found[0]!.digest) ? [found[0]] : found;
  const listed = [...new Set(images.map((entry) => entryNames(entry)[0] ?? `${entry.digest} (no name)`))].sort();
  throw new UserError(
    'IMAGE_NOT_FOUND',
    `${source} has ${images.length === 0 ? `no ${as}` : `no single ${as} "${wanted ?? familiarName(reference)}"`}; it holds ${listed.join(', ') || 'nothing'}`,
    listed.length > 0 ? 'Add the name to the end of "from", as in oci:DIR:name.' : undefined,
  );
}

/** What an entry of index.json is called, the best name first. */
export function entryNames(entry: IndexEntry): string[] {
  return [entry.annotations[CONTAINERD_NAME], entry.annotations[REF_NAME]].filter((name) => name !== undefined);
}

function isOneImage(entries: readonly IndexEntry[]): boolean {
  if (new Set(entries.map((entry) => entry.digest)).size === 1) return true;
  const platforms = entries.map((entry) => entry.platform && formatPlatform(entry.platform));
  const nameCount = new Set(entries.map((entry) => entryNames(entry).join(' '))).size;
  return nameCount === 1 && !platforms.includes(undefined) && new Set(platforms).size === entries.length;
}

/** `1.36` is `1.36`, and `busybox:1.36` is `docker.io/library/busybox:1.36`. */
export function isSameName(a: string, b: string): boolean {
  return a === b || (fullName(a) ?? a) === (fullName(b) ?? b);
}

function fullName(text: string): string | undefined {
  try {
    return formatReference(parseReference(text));
  } catch {
    return undefined; // annotations may be any text
  }
}

/** Errors: BLOB_MISSING. */
export async function findBlob(files: FileSet, digest: Digest) {
  const file = await files.find(`blobs/sha256/${digestHex(digest)}`);
  if (file) return file;
  throw new UserError(
    'BLOB_MISSING',
    `${files.name} lacks the blob ${digest}`,
    'The layout is incomplete, or holds another platform only: save or copy the image again, for all platforms (skopeo copy --all, docker save --platform).',
  );
}

/** A document of the layout, digest and size verified. Errors: BLOB_MISSING, DIGEST_MISMATCH, SIZE_MISMATCH, BAD_MANIFEST. */
export async function readByDigest(
  files: FileSet,
  as: ManifestKind,
  digest: Digest,
  size?: number,
): Promise<FoundManifest> {
  const subject = `manifest ${digest}`;
  const bytes = await readWhole(await findBlob(files, digest), MANIFEST_SIZE_MAX, `${subject} of ${files.name}`);
  if (size !== undefined && bytes.length !== size) throw sizeMismatch(subject, size, String(bytes.length), files.name);
  const actual = sha256Digest(bytes);
  if (actual !== digest) throw digestMismatch(subject, digest, actual, files.name);
  const document = parseManifest(bytes, `${subject} of ${files.name}`, as);
  const descriptor: Descriptor = { mediaType: document.mediaType, digest, size: bytes.length };
  return { descriptor, bytes, document, origin: 'source' };
}

/** True for the layers that `docker save` (25 and newer) writes from a store that keeps no compressed blobs. */
export function hasPlainLayersOnly(found: FoundManifest): boolean {
  const { document } = found;
  return document.kind === 'manifest' && document.layers.every((layer) => layer.mediaType === mediaTypes.ociLayerTar);
}
