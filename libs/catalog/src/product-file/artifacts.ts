import { artifactFormat, artifactFormats, DEFAULT_ARTIFACTS, type ArtifactFormat } from '@boxship/formats';
import { UserError, type ArtifactOptions, type Location, type Problem } from '@boxship/model';
import type { Recipe } from '../recipe.ts';
import { nearest } from '../schema-problems.ts';
import type { YamlFile } from '../yaml-file.ts';
import type { ArtifactsYaml } from './product-yaml.ts';

/** One entry of a list `artifacts`, and where it stands; a default stands nowhere. */
export interface WrittenArtifact {
  readonly options: ArtifactOptions;
  readonly where?: Location;
}

/** The list at `path`. Problems: UNKNOWN_FORMAT, DUPLICATE_ARTIFACT, and those that the formats have with their options. */
export function artifactsOf(
  yaml: YamlFile,
  given: ArtifactsYaml,
  path: readonly string[],
  problems: Problem[],
): readonly WrittenArtifact[] {
  const formats: Readonly<Record<string, ArtifactFormat>> = artifactFormats;
  const known = Object.keys(formats);
  const seen = new Set<string>();
  return given.flatMap((entry, i): readonly WrittenArtifact[] => {
    const [name, written] = typeof entry === 'string' ? [entry, {}] : Object.entries(entry)[0]!;
    const where = yaml.locate([...path, i]);
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
    return [{ options, where }];
  });
}

/**
 * What is made for a machine: what was written, else `raw`, or the first format of a recipe that does not take that.
 * Problems: FORMAT_NOT_TAKEN for each that the recipe does not name.
 */
export function artifactsFor(
  machine: string,
  recipe: Pick<Recipe, 'artifacts'> | undefined,
  written: readonly WrittenArtifact[] | undefined,
  problems: Problem[],
): readonly WrittenArtifact[] {
  const rules = recipe?.artifacts;
  const taken = rules?.flatMap(({ formats }) => formats);
  if (!written) {
    const formats = !taken || DEFAULT_ARTIFACTS.every((one) => taken.includes(one)) ? DEFAULT_ARTIFACTS : [taken[0]!];
    return formats.map((name) => ({ options: artifactFormat(name).readOptions({}) }));
  }
  for (const { options, where } of written) {
    if (!rules || taken!.includes(options.format)) continue;
    const list = rules.map(({ formats, why }) => `\n    ${formats.join(', ')}: ${why}`);
    problems.push({
      code: 'FORMAT_NOT_TAKEN',
      message: `"${machine}" does not take the artifact ${options.format}`,
      hint: `A machine may have a list of its own: machines.${machine}.artifacts. What its recipe names:${list.join('')}`,
      ...(where ? { where } : {}),
    });
  }
  return written;
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
