import { join } from 'node:path';
import { hashFile, openDiskImage } from '@boxship/disk';
import { openTarRootfs, planRootfsEdit } from '@boxship/filesystem';
import type { DiskImage } from '@boxship/disk';
import type { BaseImage, BaseImageFormat, ReadOptions } from '../base-image-format.ts';
import { assembleDiskOfTezi, planDiskOfTezi } from '../tezi/disk-of-tezi.ts';
import { findTeziRootfs } from '../tezi/find-rootfs.ts';
import { isTezi } from '../tezi/tezi-folder.ts';
import { readTeziImage } from '../tezi/tezi-image.ts';
import { raw } from './raw.ts';

/** What Toradex Easy Installer puts on a module: a folder with image.json, or an archive of one. */
export const tezi: BaseImageFormat = { name: 'tezi', probe: isTezi, read };

async function read(path: string, { cache, progress, digestOf }: ReadOptions): Promise<BaseImage> {
  const digest = async () => (digestOf ? await digestOf(path) : (await hashFile(path)).digest);
  const image = await readTeziImage(path, { cache, digest, ...(progress ? { progress } : {}) });
  const sources = image.files.map(({ name, size }) => {
    const file = join(image.folder, name);
    return { path: file, size, digest: async () => (await hashFile(file)).digest };
  });
  let archive: DiskImage | undefined;
  let disk: BaseImage | undefined;
  const close = async () => {
    await archive?.close();
    await disk?.close();
    archive = disk = undefined;
  };
  return {
    devices: [],
    tezi: image,
    productIds: image.json.supported_product_ids,
    sources,
    warnings: image.warnings,
    async openRootfs({ selector }) {
      const found = findTeziRootfs(image, selector);
      const file = join(image.folder, found.filename);
      // no file of it is unpacked: the plain archive lies in the cache, as a disk image would
      archive ??= await openDiskImage(file, { cache, ...(progress ? { progress } : {}) });
      const files = await openTarRootfs(archive, { name: found.filename });
      return {
        files,
        partition: found.partition,
        planEdit: (entries, options) => planRootfsEdit(files, entries, options),
      };
    },
    async asDisk({ partition }) {
      const found = findTeziRootfs(image, { partition });
      const plan = planDiskOfTezi(image, found);
      const identity = digestOf ? await digestOf(path) : (await Promise.all(sources.map((one) => one.digest()))).join();
      const file = await assembleDiskOfTezi(image, found, plan, { cache, identity, ...(progress ? { progress } : {}) });
      disk ??= await raw.read(file, { cache, ...(progress ? { progress } : {}) });
      return { image: disk, rootfs: await disk.openRootfs({ selector: { partition } }), warnings: plan.warnings };
    },
    async verify() {
      // nothing beside the files says what they should be
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
