import type { ErrorObject } from 'ajv';
import validate from './compose-spec-schema.json?validator';
import type { CollectedReport } from './report.ts';
import type { MapValue, Value } from './yaml-value.ts';

/**
 * Holds a model against the specification's own JSON Schema, so that what no reader of ours looks at is checked too. One
 * problem for a key of a service or of a resource, at the place that is wrong; none where a reader has told one already.
 * `active`: services whose profiles are on; others are left alone, as everywhere.
 */
export function checkSchema(model: MapValue, active: ReadonlySet<string>, report: CollectedReport): void {
  const services = model.entries.get('services');
  const kept =
    services?.value.kind === 'map' ? [...services.value.entries].filter(([name]) => active.has(name)) : undefined;
  const checked: MapValue = kept
    ? {
        ...model,
        entries: new Map([
          ...model.entries,
          ['services', { ...services!, value: { ...(services!.value as MapValue), entries: new Map(kept) } }],
        ]),
      }
    : model;
  if (validate(plain(checked))) return;
  const told = new Set(report.errors.map(({ where }) => placeOf(where)));
  const worst = new Map<string, { error: ErrorObject; path: readonly string[] }>();
  for (const error of validate.errors ?? []) {
    if (['oneOf', 'anyOf', 'if'].includes(error.keyword)) continue;
    const path = error.instancePath.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')); // prettier-ignore
    const key = path.slice(0, 3).join('/');
    const other = worst.get(key);
    if (!other || other.path.length < path.length) worst.set(key, { error, path });
  }
  for (const { error, path } of worst.values()) {
    const [key, at] = [find(checked, path.slice(0, 3)), find(checked, path)];
    if (!key || !at || at.interpolated) continue; // Compose makes a number of "${N}" where it wants one
    if ([...placesOf(key), placeOf(at.where)].some((place) => told.has(place))) continue;
    const extra = error.keyword === 'additionalProperties' ? ` "${String((error.params as { additionalProperty: string }).additionalProperty)}"` : ''; // prettier-ignore
    report.error('AGAINST_SPECIFICATION', at.where, `${path.join('.')} ${error.message ?? 'is not valid'}${extra}`, 'The JSON Schema of the Compose specification does not allow it.'); // prettier-ignore
  }
}

function plain(value: Value): unknown {
  if (value.kind === 'scalar') return value.value;
  if (value.kind === 'list') return value.items.map(plain);
  return Object.fromEntries([...value.entries].map(([key, entry]) => [key, plain(entry.value)]));
}

interface Found {
  readonly where: Value['where'];
  readonly value: Value;
  readonly interpolated: boolean;
}

function find(root: Value, path: readonly string[]): Found | undefined {
  let value: Value | undefined = root;
  let where = root.where;
  for (const part of path) {
    if (value?.kind === 'map') {
      const entry = value.entries.get(part);
      [value, where] = [entry?.value, entry?.where ?? where];
    } else value = value?.kind === 'list' ? value.items[Number(part)] : undefined;
    if (!value) return undefined;
    if (value.kind === 'scalar' || value.where.line !== undefined) where = value.where;
  }
  return value && { where, value, interpolated: value.kind === 'scalar' && value.interpolated === true };
}

/** Places of everything in a value. */
function placesOf({ value }: Found): Set<string> {
  const places = new Set<string>();
  const visit = (one: Value): void => {
    places.add(placeOf(one.where));
    if (one.kind === 'list') one.items.forEach(visit);
    if (one.kind !== 'map') return;
    for (const entry of one.entries.values()) {
      places.add(placeOf(entry.where));
      visit(entry.value);
    }
  };
  visit(value);
  return places;
}

function placeOf(where: Value['where'] | undefined): string {
  return `${where?.file}:${where?.line}:${where?.column}`;
}
