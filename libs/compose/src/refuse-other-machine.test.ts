import { findRecipe, type Machine } from '@boxship/catalog';
import type { UserError } from '@boxship/model';
import { expect, it } from 'vitest';
import { refuseOtherMachine } from './refuse-other-machine.ts';

const machine: Machine = {
  name: 'gateway',
  recipe: 'verdin-imx8mp',
  platform: 'linux/arm64',
  platformWhere: { file: 'boxship.yaml', line: 6, column: 5 },
  artifacts: [],
  where: { file: 'boxship.yaml', line: 5, column: 3 },
};

it('refuses a base image for other products than the machine of the catalogue is', () => {
  const known = findRecipe('verdin-imx8mp')!.tezi!.productIds;
  expect(() => refuseOtherMachine({ productIds: ['9999', known[0]!] }, machine)).not.toThrow();
  expect(() => refuseOtherMachine({}, machine)).not.toThrow();
  const { recipe: _recipe, ...own } = machine;
  expect(() => refuseOtherMachine({ productIds: ['9999'] }, own)).not.toThrow();
  try {
    refuseOtherMachine({ productIds: ['9999'] }, machine);
    expect.fail('no error');
  } catch (error) {
    expect((error as UserError).code).toBe('WRONG_PRODUCT_ID');
    expect((error as UserError).message).toContain(
      `boxship.yaml:5:3: the base image is for the products 9999; gateway is ${known.join(', ')}`,
    );
  }
});
