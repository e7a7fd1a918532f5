import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { copySparse } from '@boxship/disk';
import { fileWriter, sideBySide, withPath } from '@boxship/host';
import { UserError, type ArtifactOptions, type Digest } from '@boxship/model';
import type { SinkOptions } from '../artifact-format.ts';
import { compressFile, type FileCompression } from '../compress-file.ts';
import type { PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';

/** What an update replaces: the store alone, the slot of the rootfs alone, or both. */
export type UpdateContent = 'apps' | 'system' | 'both';

export type ImageRole = 'store' | 'rootfs';

/** The image of one partition as a file. */
export interface UpdateImage {
  readonly role: ImageRole;
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
}

const ROLES: Readonly<Record<UpdateContent, readonly ImageRole[]>> = {
  apps: ['store'],
  system: ['rootfs'],
  both: ['rootfs', 'store'],
};

export function rolesOf({ content }: ArtifactOptions): readonly ImageRole[] {
  return ROLES[content as UpdateContent];
}

/** File name of the image inside of an update. */
export function imageFileName(role: ImageRole): string {
  return role === 'store' ? 'boxship-store.ext4' : 'rootfs.ext4';
}

/** `<product>-<version>-<machine>-<variant>.<content>`: what the file of an update begins with. */
export function updateName({ name }: Pick<PlannedDiskImage, 'name'>, { content }: ArtifactOptions): string {
  return `${name.replace(/\.img$/, '')}.${String(content)}`;
}

/** Bytes of the partitions that go into the update. */
export function imageBytes({ places }: PlannedDiskImage, options: ArtifactOptions): number {
  return rolesOf(options).reduce((sum, role) => sum + places[role].size, 0);
}

/** The images of the partitions that the update replaces, as files that other updates use, too. */
export async function updateImages(
  image: WrittenDiskImage,
  options: ArtifactOptions,
  signal: AbortSignal | undefined,
): Promise<readonly UpdateImage[]> {
  return await sideBySide(
    rolesOf(options).map((role) => (stop) => {
      return image.share(role, async (folder): Promise<UpdateImage> => {
        const name = imageFileName(role);
        const path = join(folder, name);
        const { size } = image.places[role];
        return { role, path, name, size, digest: await extract(image, role, path, stop) };
      });
    }),
    { signal },
  );
}

/** The image as a compressed file, made once for all updates that take it so. */
export async function compressedImage(
  image: WrittenDiskImage,
  { role, path, name }: UpdateImage,
  compression: FileCompression,
  sink: SinkOptions,
): Promise<Omit<UpdateImage, 'role'>> {
  return await image.share(`${role}.${compression}`, async () => {
    const packed = await compressFile(path, compression, sink);
    return { path: `${path}.${compression}`, name: `${name}.${compression}`, ...packed };
  });
}

/** Returns the digest of the partition. */
async function extract(
  { path: from, places }: WrittenDiskImage,
  role: ImageRole,
  path: string,
  signal: AbortSignal,
): Promise<Digest> {
  const { start, size } = places[role];
  const hash = createHash('sha256');
  const disk = await open(from, 'r');
  try {
    const handle = await open(path, 'wx', 0o644);
    try {
      await handle.chmod(0o644); // it shows in a squashfs
      await handle.truncate(size);
      const file = fileWriter(handle, path);
      const shifted = { write: (position: number, bytes: Uint8Array) => file.write(position - start, bytes) };
      const onBytes = () => signal.throwIfAborted();
      await copySparse(disk, shifted, [{ start, end: start + size }], { hash, onBytes });
    } catch (error) {
      throw withPath(error, path);
    } finally {
      await handle.close();
    }
  } finally {
    await disk.close();
  }
  return `sha256:${hash.digest('hex')}`;
}

/** `content` as it was written, with its default. Errors: BAD_CONTENT. */
export function contentOf(
  written: unknown,
  format: string,
  allowed: readonly UpdateContent[] = ['apps', 'system', 'both'],
): UpdateContent {
  const content = (written ?? 'apps') as UpdateContent;
  if (allowed.includes(content)) return content;
  throw new UserError('BAD_CONTENT', `${format} cannot hold "${content}"`, `Write content: ${allowed.join(' or ')}.`);
}
