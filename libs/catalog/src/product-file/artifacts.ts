import type { ArtifactOptions, Problem } from '@boxship/model';
import type { YamlFile } from '../yaml-file.ts';
import type { ProductYaml } from './product-yaml.ts';

export function artifactsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ArtifactOptions[] {
  const seen = new Set<string>();
  return (raw.artifacts ?? ['raw']).flatMap((given, i): ArtifactOptions[] => {
    const name = typeof given === 'string' ? given : Object.keys(given)[0]!;
    if (name !== 'raw') {
      problems.push({
        code: 'UNKNOWN_FORMAT',
        message: `there is no artifact format "${name}"`,
        hint: 'Known: raw.',
        where: yaml.locate(['artifacts', i]),
      });
      return [];
    }
    const options = typeof given === 'string' ? {} : (given['raw'] ?? {});
    const compression = (options.compression ?? 'none') as 'none' | 'gz' | 'xz' | 'zst';
    if (seen.has(compression)) {
      problems.push({
        code: 'DUPLICATE_ARTIFACT',
        message: `the artifact raw with compression ${compression} is listed twice`,
        hint: 'Keep one of them; a block map is of the image inside, whatever its compression.',
        where: yaml.locate(['artifacts', i]),
      });
    }
    seen.add(compression);
    return [{ format: 'raw', compression, bmap: options.bmap ?? true }];
  });
}
