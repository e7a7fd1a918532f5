import { findRecipe, type Machine } from '@boxship/catalog';
import type { PlannedArtifact } from '@boxship/formats';
import { formatByteSize, parseByteSize, UserError } from '@boxship/model';

/**
 * What of a nominal size is there at least: sizes of eMMC and cards are decimal, whatever unit they are sold with, and some of it
 * is set aside. A module of "4 GB" has 3.6 GiB.
 */
const USABLE = 0.9;

/**
 * An image that the smallest module of the machine cannot hold would fail in the factory, with the last partition half-written.
 * The storage that the recipe names first decides, or what the product file says. Errors: STORAGE_TOO_SMALL, with its line.
 */
export function refuseSmallStorage(machine: Machine, planned: readonly Pick<PlannedArtifact, 'table'>[]): void {
  const [first] = findRecipe(machine.recipe ?? '')?.hardware?.storage ?? [];
  const smallest = machine.storage ?? (first?.sizes ? Math.min(...first.sizes.map(parseByteSize)) : undefined);
  if (smallest === undefined) return;
  const usable = Math.floor(smallest * USABLE);
  const needed = Math.max(...planned.map(({ table }) => table.after.size));
  if (needed <= usable) return;
  throw new UserError(
    'STORAGE_TOO_SMALL',
    `the image needs ${formatByteSize(needed)}, ${machine.storage === undefined ? `the smallest ${machine.recipe} has` : `"${machine.name}" has`} ${formatByteSize(smallest)} (${formatByteSize(usable)} for sure)`,
    `Make store or data smaller, or, when only larger modules are used, say so: machines.${machine.name}.storage: 16GiB.`,
    machine.where,
  );
}
