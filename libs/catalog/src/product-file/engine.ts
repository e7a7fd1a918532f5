import { UserError, type Problem, type VariantEngine } from '@boxship/model';
import { formatReference, parseReference } from '@boxship/oci';
import type { YamlFile } from '../yaml-file.ts';
import type { EngineYaml } from './product-yaml.ts';

/**
 * An engine as it is written at `path`: its name, or more. Which engines there are is asked when one is picked. Adds a problem
 * for each image whose name is none.
 */
export function engineOf(
  yaml: YamlFile,
  path: readonly string[],
  engine: string | EngineYaml,
  problems: Problem[],
): VariantEngine {
  if (typeof engine === 'string') return { name: engine };
  const { name, start = 'auto', imageStore = 'auto', namespace, discardUnpackedLayers, images = [] } = engine;
  const references = images.flatMap((image, index) => {
    try {
      return [formatReference(parseReference(image))];
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(
        ...error.problems.map((problem) => ({ ...problem, where: yaml.locate([...path, 'images', index]) })),
      );
      return [];
    }
  });
  return {
    name,
    ...(start === 'auto' ? {} : { start }),
    ...(imageStore === 'auto' ? {} : { imageStore }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(discardUnpackedLayers === undefined ? {} : { discardUnpackedLayers }),
    ...(references.length === 0 ? {} : { images: [...new Set(references)].sort() }),
  };
}
