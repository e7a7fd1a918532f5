import type { ErrorObject } from 'ajv';
import type { Problem } from '@boxship/model';
import type { YamlFile } from './yaml-file.ts';

/** What JSON Schema found, as problems that a person can act on: one for each mistake, at its place. */
export function schemaProblems(yaml: YamlFile, errors: readonly ErrorObject[]): readonly Problem[] {
  const problems = new Map<string, Problem>();
  for (const error of relevant(errors)) {
    const path = pointerPath(error.instancePath);
    const problem = describe(yaml, error, path);
    const place = problem.where;
    problems.set(`${place?.line}:${place?.column}:${problem.message}`, problem);
  }
  return [...problems.values()];
}

/** Of alternatives (`anyOf`) keep the branch that has the value's own type and knows most of its keys: the others say nothing useful. */
function relevant(all: readonly ErrorObject[]): readonly ErrorObject[] {
  const strange = strangeBranches(all);
  const errors = all.filter(({ schemaPath }) => !strange.some((branch) => schemaPath.startsWith(branch)));
  const alternatives = errors.filter((error) => error.keyword === 'anyOf').map((error) => error.instancePath);
  const kept = errors.filter((error) => {
    if (error.keyword === 'anyOf') return false;
    if (!alternatives.includes(error.instancePath) || error.keyword !== 'type') return true;
    return !errors.some(
      (other) =>
        other !== error &&
        !['anyOf', 'type'].includes(other.keyword) &&
        (other.instancePath === error.instancePath || other.instancePath.startsWith(`${error.instancePath}/`)),
    );
  });
  return kept.filter((error) => error.keyword !== 'if' && error.keyword !== 'propertyNames');
}

/** Schema paths, with a `/` at the end, of those branches for objects that leave more keys unknown than another one does. */
function strangeBranches(errors: readonly ErrorObject[]): readonly string[] {
  return errors.flatMap(({ keyword, schemaPath: alternatives, instancePath }) => {
    if (keyword !== 'anyOf') return [];
    const unknownKeys = new Map<string, number>();
    const otherTypes = new Set<string>();
    for (const error of errors) {
      const number = /^\/(\d+)\//.exec(error.schemaPath.slice(alternatives.length))?.[1];
      if (!error.schemaPath.startsWith(`${alternatives}/`) || number === undefined) continue;
      const branch = `${alternatives}/${number}/`;
      if (error.instancePath !== instancePath) continue;
      if (error.keyword === 'type') otherTypes.add(branch);
      unknownKeys.set(branch, (unknownKeys.get(branch) ?? 0) + (error.keyword === 'additionalProperties' ? 1 : 0));
    }
    const branches = [...unknownKeys].filter(([branch]) => !otherTypes.has(branch));
    const fewest = Math.min(...branches.map(([, count]) => count));
    return branches.filter(([, count]) => count > fewest).map(([branch]) => branch);
  });
}

function pointerPath(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function describe(yaml: YamlFile, error: ErrorObject, path: readonly string[]): Problem {
  const at = path.length === 0 ? 'the file' : `"${path.join('.')}"`;
  const params = error.params as Record<string, unknown>;
  const description = (error.parentSchema as { description?: string } | undefined)?.description;
  const hint = description ? { hint: description } : {};
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params['additionalProperty']);
      const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
      const near = nearest(key, known);
      return {
        code: 'UNKNOWN_KEY',
        message: `unknown key "${key}" in ${at}`,
        hint: near ? `Did you mean "${near}"?` : `Known here: ${known.join(', ')}.`,
        where: yaml.locate([...path, key], true),
      };
    }
    case 'required':
      return {
        code: 'MISSING_KEY',
        message: `${at} lacks "${String(params['missingProperty'])}"`,
        hint: description ?? `Add it: ${String(params['missingProperty'])}: …`,
        where: yaml.locate(path, true),
      };
    case 'type':
      return {
        code: 'WRONG_TYPE',
        message: `${at} must be ${article(String(params['type']))}`,
        hint: description ?? 'Quote a value that YAML would read as a number or a boolean.',
        where: yaml.locate(path),
      };
    case 'enum':
      return {
        code: 'BAD_VALUE',
        message: `${at} must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`,
        ...hint,
        where: yaml.locate(path),
      };
    case 'const':
      return {
        code: 'BAD_VALUE',
        message: `${at} must be "${String(params['allowedValue'])}"`,
        ...hint,
        where: yaml.locate(path),
      };
    default: {
      // ajv marks errors of a key's own name with propertyName
      const key = (error as { propertyName?: string }).propertyName;
      return {
        code: 'BAD_VALUE',
        message: key === undefined ? `${at} ${error.message ?? 'is not valid'}` : `the name "${key}" ${error.message}`,
        ...hint,
        where: yaml.locate(key === undefined ? path : [...path, key], key !== undefined),
      };
    }
  }
}

function article(types: string): string {
  const names = types.split(',').map((type) => (/^[aeio]/.test(type) ? `an ${type}` : `a ${type}`));
  return names.join(' or ');
}

/** The known word with the fewest edits, if it is near enough to be a typing mistake. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
