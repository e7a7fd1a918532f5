import { openDiskImage } from '@boxship/disk';
import { openTarRootfs, probeFilesystem, readRootfsTree } from '@boxship/filesystem';
import { runProgram, type Cache, type Progress } from '@boxship/host';
import { digestHex, UserError, type Digest, type RandomReader, type Tree } from '@boxship/model';
import { open } from 'node:fs/promises';

export interface RootfsFile {
  readonly path: string;
  /** Of the file as it is given. */
  readonly digest: Digest;
}

/** A root file system: its files, or the image of an ext4 that is taken as it is. */
export type RootfsSource = ({ readonly tree: Tree } | { readonly image: RandomReader }) & AsyncDisposable;

/**
 * Opens a root file system: a tar archive, an ext4 or a squashfs, each plain or compressed. Errors: those of the archive,
 * ROOTFS_UNKNOWN.
 */
export async function openRootfsSource(
  { path, digest }: RootfsFile,
  { cache, progress }: { readonly cache: Cache; readonly progress: Progress },
): Promise<RootfsSource> {
  const image = await openDiskImage(path, { cache, progress, digestOf: () => Promise.resolve(digest) });
  try {
    const kind = await probeFilesystem(image);
    if (kind === 'ext4') return { image, [Symbol.asyncDispose]: image.close };
    if (kind === 'squashfs') {
      const tar = await cache.get('squashfs-tar', digestHex(digest), (target) => unpackSquashfs(image.path, target));
      await image.close();
      const archive = await openDiskImage(tar, { cache, progress, digestOf: () => Promise.resolve(digest) });
      return { tree: await treeOf(archive, path, digest), [Symbol.asyncDispose]: archive.close };
    }
    if (kind !== undefined) {
      throw new UserError('ROOTFS_UNKNOWN', `${path} is a file system of the kind ${kind}`, 'Known: a tar archive, ext4, squashfs.'); // prettier-ignore
    }
    return { tree: await treeOf(image, path, digest), [Symbol.asyncDispose]: image.close };
  } catch (error) {
    await image.close();
    throw error;
  }
}

async function treeOf(archive: RandomReader, name: string, digest: Digest): Promise<Tree> {
  return await readRootfsTree(await openTarRootfs(archive, { name }), { id: `rootfs:${digest}` });
}

/** sqfs2tar writes owners, modes, hard links, devices and attributes as they are, and needs no root. */
async function unpackSquashfs(image: string, target: string): Promise<void> {
  const file = await open(target, 'wx');
  try {
    await runProgram('sqfs2tar', [image], { output: file.fd });
    await file.sync();
  } finally {
    await file.close();
  }
}
