import { basePath, fileIdentity, type Machine } from '@boxship/catalog';
import { readDeviceFacts, readKernelCommandLines } from '@boxship/filesystem';
import { probeBaseImage, type BaseImage, type BaseRootfs } from '@boxship/formats';
import { readerSlice, UserError, type DeviceFacts, type Variant } from '@boxship/model';
import type { OpenProduct } from './open-product.ts';
import { refuseOtherMachine } from './refuse-other-machine.ts';

/** A vendor's base image, open: what is the rootfs, and what that says of the device. */
export interface OpenBase {
  readonly image: BaseImage;
  readonly rootfs: BaseRootfs;
  readonly facts: DeviceFacts;
}

/**
 * Opens the base image of a machine lazily, after a look whether it is still the one that was locked.
 * Errors: NO_BASE, BASE_CHANGED, WRONG_PRODUCT_ID, those of the format, ROOTFS_NOT_FOUND, ROOTFS_NOT_EXT4 and others of `openRootfs`.
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
    refuseOtherMachine(image, machine);
    const rootfs = await image.openRootfs({
      architecture: machine.platform.split('/')[1]!,
      ...(machine.rootfs ? { selector: machine.rootfs } : {}),
    });
    return { image, rootfs, facts: await readBaseFacts(image, rootfs) };
  } catch (error) {
    await image.close();
    throw error;
  }
}

/** What a rootfs, and the boot partitions beside it, say of the device. */
export async function readBaseFacts(image: BaseImage, rootfs: BaseRootfs): Promise<DeviceFacts> {
  const partitions = image.devices.flatMap(({ table, content }) =>
    table.partitions
      .filter(({ number }) => number !== rootfs.partition)
      .map(({ number, start, size }) => ({
        name: `partition ${number}`,
        content: readerSlice(content, start, size),
      })),
  );
  const kernelCommandLines = await readKernelCommandLines(rootfs.files, partitions);
  const known = kernelCommandLines.length > 0 ? { kernelCommandLines } : {};
  return { ...(await readDeviceFacts(rootfs.files)), ...known };
}
