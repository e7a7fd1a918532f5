import { parsePublicKey } from 'cosign-node-binding';
import type { BaseImage, BaseRootfs } from '@boxship/formats';
import { UserError, type Variant } from '@boxship/model';
import { cosign, type OpenProduct } from './open-product.ts';

// What the exchange of either half asks first.

/** Errors: OTHER_PRODUCT, OTHER_MACHINE. */
export function refuseOtherProduct(open: OpenProduct, old: Variant): void {
  if (old.product !== open.product.name) {
    throw new UserError(
      'OTHER_PRODUCT',
      `the artifact is of the product "${old.product}", ${open.product.file} of "${open.product.name}"`,
      'Name the product file that it was made with: -f FILE.',
    );
  }
  const names = open.product.machines.map(({ name }) => name);
  if (names.includes(old.machine.name)) return;
  throw new UserError(
    'OTHER_MACHINE',
    `the artifact is for the machine "${old.machine.name}", which the product file does not have`,
    `It has: ${names.join(', ')}.`,
  );
}

export async function keyIdOf(publicKeyPem: string): Promise<string> {
  return (await cosign(() => parsePublicKey(publicKeyPem))).keyId;
}

/** The rootfs of the variant's machine. */
export async function openRootfsOf(image: BaseImage, { machine }: Variant): Promise<BaseRootfs> {
  return await image.openRootfs({
    architecture: machine.platform.split('/')[1]!,
    ...(machine.rootfs ? { selector: machine.rootfs } : {}),
  });
}
