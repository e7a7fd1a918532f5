import type { Report } from './report.ts';
import type { ListValue, MapEntry, MapValue, Value } from './yaml-value.ts';

/** What is wrong with one `$…` of a string. */
export interface InterpolationProblem {
  readonly code: 'UNSET_VARIABLE' | 'REQUIRED_VARIABLE' | 'BAD_INTERPOLATION';
  readonly message: string;
  readonly hint: string;
}

/** The value of a variable; `undefined` when it is not set. */
export type Lookup = (name: string) => string | undefined;

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

/**
 * Replaces `$VAR`, `${VAR}` and the forms with `:-  -  :?  ?  :+  +` (compose-spec 12-interpolation.md), nested too; `$$`
 * is a dollar sign. Other than Compose, a variable that is not set and has no default is a problem: the build host's
 * environment must not decide what an image holds, and an empty string is rarely what was meant.
 */
export function interpolate(
  text: string,
  lookup: Lookup,
): { readonly text: string; readonly problems: readonly InterpolationProblem[] } {
  const problems: InterpolationProblem[] = [];
  let position = 0;

  const name = (): string | undefined => {
    NAME.lastIndex = position;
    const match = NAME.exec(text);
    if (!match) return undefined;
    position = NAME.lastIndex;
    return match[0];
  };
  const bad = (rest: string) => {
    problems.push({
      code: 'BAD_INTERPOLATION',
      message: `"${rest.length > 40 ? `${rest.slice(0, 40)}…` : rest}" is not a variable`,
      hint: 'Write ${NAME} or ${NAME:-default}; a plain dollar sign is written $$.',
    });
  };
  const required = (variable: string): string => {
    const value = lookup(variable);
    if (value !== undefined) return value;
    problems.push({
      code: 'UNSET_VARIABLE',
      message: `the variable ${variable} is not set`,
      hint: `Set it in the .env file beside the Compose file or in the product file, or write \${${variable}:-default}. The environment of the build host is not used.`,
    });
    return '';
  };
  /** Text up to an unnested `}` (inside braces) or the end. `live`: whether unset variables in it matter. */
  const run = (inBraces: boolean, live: boolean): string => {
    let out = '';
    while (position < text.length) {
      const char = text[position]!;
      if (char === '}' && inBraces) return out;
      position++;
      if (char !== '$') {
        out += char;
      } else if (text[position] === '$') {
        position++;
        out += '$';
      } else if (text[position] === '{') {
        const start = position - 1;
        position++;
        out += braced(start, live);
      } else {
        const variable = name();
        if (variable === undefined) bad(text.slice(position - 1));
        else out += live ? required(variable) : '';
      }
    }
    return out;
  };
  const braced = (start: number, live: boolean): string => {
    const variable = name();
    const operator = /^(?::?[-?+])?/.exec(text.slice(position))![0];
    position += operator.length;
    const value = variable === undefined ? undefined : lookup(variable);
    const present = value !== undefined && (!operator.startsWith(':') || value !== '');
    const kind = operator.at(-1);
    const restIsUsed = live && variable !== undefined && (kind === '+' ? present : !present);
    const rest = kind === undefined ? '' : run(true, restIsUsed);
    if (variable === undefined || text[position] !== '}') {
      bad(text.slice(start));
      position = text.length;
      return '';
    }
    position++;
    if (!live) return '';
    if (kind === undefined) return required(variable);
    if (kind === '+') return present ? rest : '';
    if (present) return value;
    if (kind === '-') return rest;
    problems.push({
      code: 'REQUIRED_VARIABLE',
      message: `the variable ${variable} is required${rest ? `: ${rest}` : ''}`,
      hint: `Set ${variable} in the .env file beside the Compose file or in the product file.`,
    });
    return '';
  };
  return { text: run(false, true), problems };
}

/**
 * A value with all of its strings interpolated; keys are left as they are, as Compose does. A variable that is not set is
 * told by `reportUnset`, for values that are used; whatever else is wrong is told at once.
 */
export function interpolateValue(value: Value, lookup: Lookup, report: Report): Value {
  const done = new Map<Value, Value>();
  const visit = (source: Value): Value => {
    let result = done.get(source);
    if (!result) {
      result = visitOne(source);
      done.set(source, result);
    }
    return result;
  };
  const visitOne = (source: Value): Value => {
    if (source.kind === 'list') return { ...source, items: source.items.map(visit) } satisfies ListValue;
    if (source.kind === 'map') {
      const entries = new Map<string, MapEntry>();
      for (const [key, entry] of source.entries) entries.set(key, { ...entry, value: visit(entry.value) });
      return { ...source, entries } satisfies MapValue;
    }
    if (typeof source.value !== 'string' || !source.value.includes('$')) return source;
    const { text, problems } = interpolate(source.value, lookup);
    const unset = problems.filter(({ code }) => code === 'UNSET_VARIABLE');
    for (const { code, message, hint } of problems) {
      if (code !== 'UNSET_VARIABLE') report.error(code, source.where, message, hint);
    }
    return { ...source, value: text, text, plain: false, interpolated: true, ...(unset.length > 0 ? { unset } : {}) };
  };
  return visit(value);
}

/** Tells of the variables that are not set in a value that counts. */
export function reportUnset(value: Value, report: Report): void {
  const seen = new Set<Value>();
  const visit = (source: Value): void => {
    if (seen.has(source)) return;
    seen.add(source);
    if (source.kind === 'list') source.items.forEach(visit);
    else if (source.kind === 'map') for (const entry of source.entries.values()) visit(entry.value);
    else for (const { code, message, hint } of source.unset ?? []) report.error(code, source.where, message, hint);
  };
  visit(value);
}
