import { UserError, type VariantEngine } from '@boxship/model';

const SETTINGS = ['namespace', 'discardUnpackedLayers', 'images'] as const;
type Setting = (typeof SETTINGS)[number];

/** Refuses what the product file says to another engine. Errors: NOT_FOR_ENGINE. */
export function refuseForeignSettings(engine: VariantEngine, known: readonly Setting[]): void {
  for (const setting of SETTINGS) {
    if (engine[setting] === undefined || known.includes(setting)) continue;
    throw new UserError(
      'NOT_FOR_ENGINE',
      `engine.${setting} is ${String(engine[setting])}, which is not for ${engine.name}`,
      'Leave it out.',
    );
  }
}
