import { findRecipe, type Machine } from '@boxship/catalog';
import type { BaseImage } from '@boxship/formats';
import { UserError } from '@boxship/model';

/**
 * Refuses an image that its vendor made for other products than those that the catalogue knows of this machine: the device
 * would not take it, or would not start. Errors: WRONG_PRODUCT_ID, with both lists.
 */
export function refuseOtherMachine({ productIds }: Pick<BaseImage, 'productIds'>, machine: Machine): void {
  const known = machine.recipe === undefined ? undefined : findRecipe(machine.recipe)?.tezi?.productIds;
  if (!known || !productIds || known.some((id) => productIds.includes(id))) return;
  throw new UserError(
    'WRONG_PRODUCT_ID',
    `the base image is for the products ${productIds.join(', ')}; ${machine.name} is ${known.join(', ')} (recipe ${machine.recipe})`,
    'Give the image that the vendor made for this machine, or define the machine in place under another name.',
    machine.where,
  );
}
