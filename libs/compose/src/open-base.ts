import { basePath, fileIdentity, type Machine } from '@boxship/catalog';
import { openExt4, probeFilesystem, readDeviceFacts } from '@boxship/filesystem';
import {
  findRootfs,
  probeBaseImage,
  type BaseDevice,
  type BaseImage,
  type PartitionContent,
  type Rootfs,
} from '@boxship/formats';
import { UserError, type DeviceFacts, type RandomReader, type Variant } from '@boxship/model';
import type { OpenProduct } from './open-product.ts';

/** A vendor's base image, open: its device, which partition is the rootfs, and what that says of the device. */
export interface OpenBase {
  readonly image: BaseImage;
  readonly device: BaseDevice;
  readonly rootfs: Rootfs;
  readonly facts: DeviceFacts;
}

/**
 * Opens the base image of a machine lazily, after a look whether it is still the one that was locked.
 * Errors: NO_BASE, BASE_CHANGED, those of the format, ROOTFS_NOT_FOUND, ROOTFS_NOT_EXT4.
 */
export async function openBase(open: OpenProduct, machine: Machine, variant: Variant): Promise<OpenBase> {
  const { product, cache, progress } = open;
  if (!machine.base || !variant.base) {
    throw new UserError(
      'NO_BASE',
      `machine "${machine.name}" lacks "base"`,
      "Add the vendor's image: base: ./bsp/vendor.img. For an image that bitbake makes, see boxship store.",
      machine.where,
    );
  }
  const { where } = machine;
  const path = await basePath(product, { base: machine.base, where }, cache, variant.base);
  const identity = await fileIdentity(path, cache, progress, { where: machine.where });
  if (identity.digest !== variant.base.digest) {
    throw new UserError(
      'BASE_CHANGED',
      `${path} has the digest ${identity.digest}, boxship.lock says ${variant.base.digest}`,
      'If the new base image is what you want, run: boxship lock',
      machine.where,
    );
  }
  const format = await probeBaseImage(path);
  const digestOf = () => Promise.resolve(identity.digest);
  const image = await format.read(path, { cache, progress, digestOf });
  try {
    const rootfs = await findRootfs(image, {
      architecture: machine.platform.split('/')[1]!,
      probe: lookInto,
      ...(machine.rootfs ? { selector: machine.rootfs } : {}),
    });
    const facts = await readDeviceFacts(await openExt4(rootfs.content));
    return { image, device: rootfs.device as BaseDevice, rootfs, facts };
  } catch (error) {
    await image.close();
    throw error;
  }
}

/** Whether a system could start from the partition: an ext4 with an os-release file and an init program. */
async function lookInto(content: RandomReader): Promise<PartitionContent> {
  const filesystem = await probeFilesystem(content);
  if (filesystem !== 'ext4') return { ...(filesystem ? { filesystem } : {}), isRoot: false };
  try {
    const files = await openExt4(content);
    const { label } = files.superblock;
    const hasRelease = (await files.exists('etc/os-release')) || (await files.exists('usr/lib/os-release'));
    const isRoot = hasRelease && (await files.lstat('sbin/init')) !== undefined;
    return { filesystem, ...(label ? { label } : {}), isRoot };
  } catch (error) {
    if (error instanceof UserError) return { filesystem, isRoot: false }; // damaged: not what we look for
    throw error;
  }
}
