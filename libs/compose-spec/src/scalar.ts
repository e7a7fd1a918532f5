import type { Location } from '@boxship/model';
import { nearest, type Report } from './report.ts';
import type { ListValue, MapEntry, MapValue, Value } from './yaml-value.ts';

/* Readers of one value each. A wrong value is reported and read as `undefined`; so is an absent or null one, silently. */

function isNull(value: Value | undefined): value is undefined {
  return !value || (value.kind === 'scalar' && value.value === null);
}

const KINDS = { list: 'a list', map: 'a map' } as const;

function wrongType(value: Value, wanted: string, report: Report): undefined {
  const found = value.kind === 'scalar' ? `"${value.text}"` : KINDS[value.kind];
  const hint = value.kind === 'scalar' && wanted === 'a string' ? 'Put it in quotes.' : `Write ${wanted}.`;
  report.error('WRONG_TYPE', value.where, `${found} is not ${wanted}`, hint);
  return undefined;
}

/** A string; Compose refuses numbers and booleans where its schema says string, and so do we. */
export function readText(value: Value | undefined, report: Report): string | undefined {
  if (isNull(value)) return undefined;
  if (value.kind === 'scalar' && typeof value.value === 'string') return checkText(value.value, value.where, report);
  return wrongType(value, 'a string', report);
}

function checkText(text: string, where: Location, report: Report): string | undefined {
  if (!text.includes('\0')) return text;
  report.error('BAD_TEXT', where, 'the string holds a NUL character', 'Remove it: no process can be given one.');
  return undefined;
}

/**
 * A string, number or boolean as text. Numbers that Compose would rewrite (`0777` becomes 511, `1.50` becomes 1.5, a date
 * becomes a time) must be quoted.
 */
export function readScalarText(value: Value | undefined, report: Report): string | undefined {
  if (isNull(value)) return undefined;
  if (value.kind !== 'scalar') return wrongType(value, 'a string', report);
  if (typeof value.value === 'boolean') return String(value.value);
  const { text } = value;
  const rewritten =
    typeof value.value === 'number'
      ? !/^(?:0|-?[1-9]\d*|-?(?:0|[1-9]\d*)\.\d*[1-9])$/.test(text)
      : value.plain && /^(?:\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?|[-+]?\d[\d_]*_[\d_]*|[-+]?0b[01_]+)$/.test(text);
  if (rewritten) {
    report.error('AMBIGUOUS_VALUE', value.where, `${text} without quotes is a number or date that Compose writes otherwise`, `Put it in quotes: "${text}".`); // prettier-ignore
    return undefined;
  }
  return typeof value.value === 'string' ? checkText(value.value, value.where, report) : text;
}

export function readBoolean(value: Value | undefined, report: Report): boolean | undefined {
  if (isNull(value)) return undefined;
  if (value.kind === 'scalar') {
    const text = String(value.value).toLowerCase();
    if (text === 'true') return true;
    if (text === 'false') return false;
  }
  return wrongType(value, 'true or false', report);
}

/** A whole number within [min, max]. */
export function readInteger(
  value: Value | undefined,
  report: Report,
  { min = -Infinity, max = Infinity }: { readonly min?: number; readonly max?: number } = {},
): number | undefined {
  if (isNull(value)) return undefined;
  const text = value.kind === 'scalar' ? String(value.value) : '';
  if (!/^[-+]?\d+$/.test(text)) return wrongType(value, 'a whole number', report);
  const number = Number(text);
  if (number >= min && number <= max && Number.isSafeInteger(number)) return number;
  report.error(
    'OUT_OF_RANGE',
    value.where,
    `${text} is not between ${min} and ${max}`,
    'Choose a number in that range.',
  );
  return undefined;
}

/** A decimal number above zero, as text (`cpus: 0.5`). */
export function readDecimal(value: Value | undefined, report: Report): string | undefined {
  if (isNull(value)) return undefined;
  const text = value.kind === 'scalar' ? String(value.value) : '';
  return /^\d+(?:\.\d+)?$/.test(text) ? text : wrongType(value, 'a number', report);
}

const SIZE_UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/** Bytes from a number or `64m`, `1.5gb`, `2GiB`: every unit is a power of 1024 (go-units RAMInBytes, as Compose). */
export function readBytes(value: Value | undefined, report: Report): number | undefined {
  if (isNull(value)) return undefined;
  const text = value.kind === 'scalar' ? String(value.value).trim() : '';
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text);
  if (!match) return wrongType(value, 'a size as in 512m or 2g', report);
  return Math.floor(Number(match[1]) * 1024 ** SIZE_UNITS.indexOf((match[2] ?? '').toLowerCase()));
}

/** Whole numbers, so that their sums are exact. */
const NANOSECONDS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, '\u00b5s': 1e3, '\u03bcs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86400e9, w: 604800e9 }; // prettier-ignore

/** Milliseconds from a duration as in `1m30s`, `500ms`, `2h` (compose-spec 11-extension.md, "specifying durations"). */
export function readDuration(value: Value | undefined, report: Report): number | undefined {
  if (isNull(value)) return undefined;
  const text = value.kind === 'scalar' ? String(value.value) : '';
  if (text === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|[\u00b5\u03bc]s|ms|s|m|h|d|w))+$/.test(text)) {
    return wrongType(value, 'a duration as in 1m30s or 500ms', report);
  }
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|[\u00b5\u03bc]s|ms|s|m|h|d|w)/g)) {
    total += Number(count) * NANOSECONDS[unit!]!;
  }
  return total / 1e6;
}

/** A duration in words that Go (and so `docker run`) reads. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds % 1000 === 0) return `${milliseconds / 1000}s`;
  return Number.isInteger(milliseconds) ? `${milliseconds}ms` : `${Math.round(milliseconds * 1e6)}ns`;
}

/** One of a few words. */
export function readWord<T extends string>(
  value: Value | undefined,
  words: readonly T[],
  report: Report,
): T | undefined {
  const text = readText(value, report);
  if (text === undefined || (words as readonly string[]).includes(text)) return text as T | undefined;
  const near = nearest(text, words);
  const hint = near ? `Did you mean "${near}"?` : `Write one of: ${words.join(', ')}.`;
  report.error('BAD_VALUE', value!.where, `"${text}" is not one of ${words.join(', ')}`, hint);
  return undefined;
}

export function readList(value: Value | undefined, report: Report): ListValue['items'] {
  if (isNull(value)) return [];
  if (value.kind === 'list') return value.items;
  wrongType(value, 'a list', report);
  return [];
}

export function readMap(value: Value | undefined, report: Report): MapValue['entries'] {
  if (isNull(value)) return new Map();
  if (value.kind === 'map') return value.entries;
  wrongType(value, 'a map', report);
  return new Map();
}

/** A string or a list of strings. */
export function readTexts(value: Value | undefined, report: Report): readonly { text: string; where: Location }[] {
  if (isNull(value)) return [];
  const items = value.kind === 'list' ? value.items : [value];
  return items.flatMap((item) => {
    const text = readScalarText(item, report);
    return text === undefined ? [] : [{ text, where: item.where }];
  });
}

/** `{KEY: value}` or `[KEY=value]`. A KEY without a value is `null`. The last of equal keys in a list wins, as in Compose. */
export function readPairs(
  value: Value | undefined,
  report: Report,
): ReadonlyMap<string, { readonly text: string | null; readonly where: Location }> {
  const pairs = new Map<string, { text: string | null; where: Location }>();
  if (isNull(value)) return pairs;
  if (value.kind === 'map') {
    for (const [key, entry] of value.entries) {
      const nothing = isNull(entry.value);
      const text = nothing ? null : readScalarText(entry.value, report);
      if (text !== undefined) pairs.set(key, { text, where: entry.where });
    }
    return pairs;
  }
  if (value.kind === 'scalar') wrongType(value, 'a map or a list of KEY=value', report);
  else {
    for (const item of value.items) {
      const text = readScalarText(item, report);
      if (text === undefined) continue;
      const split = text.indexOf('=');
      const key = split < 0 ? text : text.slice(0, split);
      pairs.set(key, { text: split < 0 ? null : text.slice(split + 1), where: item.where });
    }
  }
  return pairs;
}

/** As `readPairs`, where a missing value is an empty one (labels, annotations, driver options). */
export function readLabels(value: Value | undefined, report: Report): Record<string, string> {
  return Object.fromEntries([...readPairs(value, report)].map(([key, { text }]) => [key, text ?? '']));
}

/**
 * The entries of a map whose keys are known. `x-…` is skipped; an unsupported or unknown key is an error, the latter with
 * the nearest known word.
 */
export function readKnownKeys(
  value: Value | undefined,
  what: string,
  known: readonly string[],
  report: Report,
  unsupported: Readonly<Record<string, string>> = {},
): ReadonlyMap<string, MapEntry> {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of readMap(value, report)) {
    if (key.startsWith('x-')) continue;
    if (known.includes(key)) entries.set(key, entry);
    else if (Object.hasOwn(unsupported, key)) {
      report.error('UNSUPPORTED_KEY', entry.where, `"${key}" in ${what} is not supported`, unsupported[key]);
    } else {
      const near = nearest(key, [...known, ...Object.keys(unsupported)]);
      const hint = near ? `Did you mean "${near}"?` : `Known keys: ${[...known].sort().join(', ')}.`;
      report.error('UNKNOWN_KEY', entry.where, `there is no key "${key}" in ${what}`, hint);
    }
  }
  return entries;
}
