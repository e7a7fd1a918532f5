import { UserError, type VariantEngine } from '@boxship/model';

/** The one of an engine's image stores that the product file names, if it names one. Errors: UNKNOWN_IMAGE_STORE. */
export function namedImageStore<T extends string>(
  { name, imageStore }: VariantEngine,
  known: readonly T[],
): T | undefined {
  if (imageStore === undefined) return undefined;
  const found = known.find((store) => store === imageStore);
  if (found) return found;
  throw new UserError(
    'UNKNOWN_IMAGE_STORE',
    `engine.imageStore is ${imageStore}, which ${name} does not have`,
    known.length > 0 ? `Write auto, or one of: ${known.join(', ')}.` : 'Leave it out.',
  );
}
