import type { VariantEngine } from '@boxship/model';
import type { EngineYaml } from './product-yaml.ts';

/** An engine as it is written: its name, or more. Which engines there are is asked when one is picked. */
export function engineOf(engine: string | EngineYaml): VariantEngine {
  if (typeof engine === 'string') return { name: engine };
  const { name, start = 'auto', imageStore = 'auto', namespace, discardUnpackedLayers } = engine;
  return {
    name,
    ...(start === 'auto' ? {} : { start }),
    ...(imageStore === 'auto' ? {} : { imageStore }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(discardUnpackedLayers === undefined ? {} : { discardUnpackedLayers }),
  };
}
