import { UserError, type VariantEngine } from '@boxship/model';

type Setting = 'namespace' | 'discardUnpackedLayers';

/** Refuses what the product file says to another engine. Errors: NOT_FOR_ENGINE. */
export function refuseForeignSettings(engine: VariantEngine, known: readonly Setting[]): void {
  for (const setting of ['namespace', 'discardUnpackedLayers'] as const) {
    if (engine[setting] === undefined || known.includes(setting)) continue;
    throw new UserError(
      'NOT_FOR_ENGINE',
      `engine.${setting} is ${engine[setting]}, which is not for ${engine.name}`,
      'Leave it out.',
    );
  }
}
