import { artifactFormats, DEFAULT_ARTIFACTS, type ArtifactFormat } from '@boxship/formats';
import { UserError, type ArtifactOptions, type Location, type Problem } from '@boxship/model';
import { nearest } from '../schema-problems.ts';
import type { YamlFile } from '../yaml-file.ts';
import type { ProductYaml } from './product-yaml.ts';

export function artifactsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ArtifactOptions[] {
  const formats: Readonly<Record<string, ArtifactFormat>> = artifactFormats;
  const known = Object.keys(formats);
  const seen = new Set<string>();
  return (raw.artifacts ?? DEFAULT_ARTIFACTS).flatMap((given, i): ArtifactOptions[] => {
    const [name, written] = typeof given === 'string' ? [given, {}] : Object.entries(given)[0]!;
    const where = yaml.locate(['artifacts', i]);
    const format = Object.hasOwn(formats, name) ? formats[name] : undefined;
    if (!format) {
      const near = nearest(name, known);
      problems.push({
        code: 'UNKNOWN_FORMAT',
        message: `there is no artifact format "${name}"`,
        hint: near ? `Did you mean "${near}"?` : `Known: ${known.join(', ')}.`,
        where,
      });
      return [];
    }
    const options = readOptions(format, written, where, problems);
    if (!options) return [];
    const words = format.describe(options);
    if (seen.has(words)) {
      problems.push({
        code: 'DUPLICATE_ARTIFACT',
        message: `the artifact ${words} is listed twice`,
        hint: 'Keep one of them; a block map is of the image inside, whatever its compression.',
        where,
      });
    }
    seen.add(words);
    return [options];
  });
}

function readOptions(
  format: ArtifactFormat,
  written: Readonly<Record<string, unknown>>,
  where: Location,
  problems: Problem[],
): ArtifactOptions | undefined {
  try {
    return format.readOptions(written);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...problem, where })));
    return undefined;
  }
}
