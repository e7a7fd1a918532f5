import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, copyFile, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, partialPath, writeFileAtomically } from '@boxship/host';
import { digestHex, UserError, type Descriptor } from '@boxship/model';
import { fileChanged, type ArtifactTarget } from './artifact-target.ts';
import { parseManifest } from './manifest.ts';
import { mediaTypes } from './media-type.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * An OCI image layout in `folder` (image-spec image-layout.md), made when it is not there; what it holds stays, a tag is moved.
 * Errors: BAD_LAYOUT, those of the file system.
 */
export function ociLayoutTarget(folder: string): ArtifactTarget {
  const blobFile = ({ digest }: Descriptor) => join(folder, 'blobs/sha256', digestHex(digest));
  return {
    name: `oci:${folder}`,
    hasBlob: async (blob) => (await stat(blobFile(blob)).catch(() => undefined))?.size === blob.size,
    async putBlob(blob, content, { signal, onBytes }) {
      const file = blobFile(blob);
      await makeFolder(join(folder, 'blobs/sha256'));
      if (typeof content !== 'string') return await writeFileAtomically(file, content);
      const aside = partialPath(file);
      try {
        await copyFile(content, aside, constants.COPYFILE_FICLONE);
        await chmod(aside, 0o644);
        const hash = createHash('sha256');
        for await (const chunk of createReadStream(aside, { highWaterMark: 1 << 20, ...(signal ? { signal } : {}) })) {
          hash.update(chunk as Buffer);
          onBytes?.((chunk as Buffer).length);
        }
        const actual = `sha256:${hash.digest('hex')}`;
        if (actual !== blob.digest) throw fileChanged(blob, actual);
        await rename(aside, file);
      } finally {
        await rm(aside, { force: true });
      }
    },
    async putManifest({ descriptor, bytes, artifactType, tag }) {
      await makeFolder(join(folder, 'blobs/sha256'));
      await writeFileAtomically(blobFile(descriptor), bytes);
      const path = join(folder, 'index.json');
      const others = (await readEntries(path)).filter(({ digest, annotations }) => {
        const name = annotations?.[REF_NAME];
        return name === undefined ? digest !== descriptor.digest : name !== tag;
      });
      const entry = { ...descriptor, artifactType, ...(tag === undefined ? {} : { annotations: { [REF_NAME]: tag } }) };
      const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...others, entry] };
      await writeFileAtomically(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
      await writeFileAtomically(path, JSON.stringify(index));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface RawEntry {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Entries of index.json with every field that they have; none when there is no layout yet. */
async function readEntries(path: string): Promise<readonly RawEntry[]> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!bytes) return [];
  if (parseManifest(bytes, path, 'artifact').kind !== 'index') {
    throw new UserError('BAD_LAYOUT', `${path} is not the index of an OCI layout`, 'Name another folder.');
  }
  return (JSON.parse(bytes.toString()) as { manifests: RawEntry[] }).manifests; // checked a line above
}
