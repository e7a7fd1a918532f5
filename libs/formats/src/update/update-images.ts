import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { copySparse, hashFile } from '@boxship/disk';
import { fileWriter, openFileReader, runProgram, withPath } from '@boxship/host';
import { readerSlice, UserError, type ArtifactOptions, type Digest } from '@boxship/model';
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
  const images: UpdateImage[] = [];
  for (const role of rolesOf(options)) {
    const make = async (folder: string): Promise<UpdateImage> => {
      signal?.throwIfAborted();
      const name = imageFileName(role);
      const path = join(folder, name);
      await extract(image, role, path);
      return { role, path, name, ...(await hashFile(path)) };
    };
    images.push(await image.share(role, make));
  }
  return images;
}

/** As for disk images: equal bytes whatever the number of cores. */
const COMPRESSORS = {
  gzip: { suffix: '.gz', args: ['-n', '-6', '-k'] },
  zstd: { suffix: '.zst', args: ['-9', '-T2', '-q', '-k'] },
} as const;

export type ImageCompressor = keyof typeof COMPRESSORS;

/** The image as a compressed file, made once for all updates that take it so. */
export async function compressedImage(
  image: WrittenDiskImage,
  { role, path, name }: UpdateImage,
  program: ImageCompressor,
  signal: AbortSignal | undefined,
): Promise<Omit<UpdateImage, 'role'>> {
  const { suffix, args } = COMPRESSORS[program];
  return await image.share(`${role}${suffix}`, async () => {
    await runProgram(program, [...args, '--', path], signal ? { signal } : {});
    return { path: `${path}${suffix}`, name: `${name}${suffix}`, ...(await hashFile(`${path}${suffix}`)) };
  });
}

async function extract({ path: from, places }: WrittenDiskImage, role: ImageRole, path: string): Promise<void> {
  const { start, size } = places[role];
  await using reader = await openFileReader(from);
  const handle = await open(path, 'wx', 0o644);
  try {
    await handle.chmod(0o644); // it shows in a squashfs
    await handle.truncate(size);
    await copySparse(readerSlice(reader, start, size), fileWriter(handle, path), [{ start: 0, end: size }]);
  } catch (error) {
    throw withPath(error, path);
  } finally {
    await handle.close();
  }
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
