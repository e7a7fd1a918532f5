import type { Report } from './report.ts';
import { splitVolume } from './mounts.ts';
import type { ListValue, MapEntry, MapValue, Value } from './yaml-value.ts';

/*
 * How a later Compose file changes an earlier one (compose-spec 13-merge.md, and where it is silent what Docker Compose
 * does): maps are merged, lists are joined, scalars are replaced. The tables say where it is otherwise. `*` is any key.
 */

type Merge = (base: Value, over: Value, path: readonly string[], report: Report) => Value;

const replace: Merge = (_base, over) => over;

/** `[KEY=value]` and `{KEY: value}` are one thing, and so merge by key. */
const byKey: Merge = (base, over, path, report) => {
  const [below, above] = [toPairs(base), toPairs(over)];
  if (below.kind !== 'map' || above.kind !== 'map') return mismatch(base, over, path, report);
  return { ...above, entries: new Map([...below.entries, ...above.entries]) };
};

/** `[name]` and `{name: settings}`; to name a service is to wait for its start. */
const byName =
  (settings: Readonly<Record<string, string>> = {}): Merge =>
  (base, over, path, report) =>
    mergeEntries(toSettings(base, settings), toSettings(over, settings), path, report);

/** A single text and a list of them; what stands in both stands once. */
const asList: Merge = (base, over) => joinLists(toList(base), toList(over), (item) => textOf(item));

const extraHosts: Merge = (base, over) =>
  joinLists(hostList(base), hostList(over), (item) => textOf(item)?.replace(':', '='));

const unique =
  (key: (item: Value) => string | undefined): Merge =>
  (base, over, path, report) =>
    base.kind === 'list' && over.kind === 'list' ? joinLists(base, over, key) : mismatch(base, over, path, report);

/** Options of another driver would mean something else. */
const logging: Merge = (base, over, path, report) => {
  const [old, now] = [base, over].map((value) => (value.kind === 'map' ? textOf(value.entries.get('driver')?.value) : undefined)); // prettier-ignore
  return old === undefined || now === undefined || old === now ? mergePlain(base, over, path, report) : over;
};

/** Pools of one subnet are one pool; a pool that the later file does not name is gone, as Docker Compose has it. */
const addressPools: Merge = (base, over, path, report) => {
  if (base.kind !== 'list' || over.kind !== 'list') return mismatch(base, over, path, report);
  const subnet = (item: Value) => (item.kind === 'map' ? textOf(item.entries.get('subnet')?.value) : undefined);
  const items = over.items.map((item) => {
    const old = base.items.find((other) => subnet(other) === subnet(item));
    return old ? mergePlain(old, item, path, report) : item;
  });
  return { ...over, items };
};

const target =
  (fallback: string) =>
  (item: Value): string | undefined => {
    if (item.kind !== 'map') return textOf(item) === undefined ? undefined : `${fallback}/${textOf(item)}`;
    const wanted = textOf(item.entries.get('target')?.value);
    const source = textOf(item.entries.get('source')?.value);
    return wanted === undefined ? source && `${fallback}/${source}` : wanted.startsWith('/') ? wanted : `${fallback}/${wanted}`; // prettier-ignore
  };

function volumeTarget(item: Value): string | undefined {
  if (item.kind === 'map') return textOf(item.entries.get('target')?.value);
  const text = textOf(item);
  return text === undefined ? undefined : splitVolume(text).target;
}

function deviceTarget(item: Value): string | undefined {
  if (item.kind === 'map')
    return textOf(item.entries.get('target')?.value) ?? textOf(item.entries.get('source')?.value);
  const [source, other] = (textOf(item) ?? '').split(':');
  return other?.startsWith('/') ? other : source;
}

/** `{ip, target, published, protocol}` */
function portKey(item: Value): string | undefined {
  if (item.kind === 'map') {
    const get = (key: string) => textOf(item.entries.get(key)?.value);
    return `${get('host_ip') ?? '0.0.0.0'}:${get('published') ?? ''}:${get('target') ?? ''}/${get('protocol') ?? 'tcp'}`;
  }
  const text = textOf(item);
  const [, ip, published, inside, protocol] = /^(?:(?:(\[[^\]]+\]|[^:]+):)?([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(text ?? '') ?? []; // prettier-ignore
  if (inside === undefined) return text;
  return `${ip?.replace(/^\[|\]$/g, '') ?? '0.0.0.0'}:${published ?? ''}:${inside}/${protocol ?? 'tcp'}`;
}

const SERVICE: Readonly<Record<string, Merge>> = {
  annotations: byKey,
  cap_add: unique(textOf),
  cap_drop: unique(textOf),
  command: replace,
  configs: unique(target('')),
  depends_on: byName({ condition: 'service_started' }),
  'deploy.labels': byKey,
  devices: unique(deviceTarget),
  dns: asList,
  dns_opt: asList,
  dns_search: asList,
  entrypoint: replace,
  env_file: envFiles,
  environment: byKey,
  expose: unique(textOf),
  extra_hosts: extraHosts,
  'healthcheck.test': replace,
  label_file: asList,
  labels: byKey,
  logging,
  models: byName(),
  networks: byName(),
  'networks.*.aliases': unique(textOf),
  'networks.*.link_local_ips': unique(textOf),
  ports: unique(portKey),
  profiles: unique(textOf),
  secrets: unique(target('/run/secrets')),
  sysctls: byKey,
  tmpfs: asList,
  'ulimits.*': replace,
  volumes: unique(volumeTarget),
};

const SPECIAL = new Map<string, Merge>([
  ...Object.entries(SERVICE).map(([key, merge]) => [`services.*.${key}`, merge] as const),
  ['networks.*.ipam.config', addressPools],
  ['networks.*.labels', byKey],
  ['volumes.*.labels', byKey],
]);

/** The special rule for a path; maps of any key stand at its even and odd places, so `*` is tried for each part. */
function ruleFor(path: readonly string[]): Merge | undefined {
  if (path.length < 3) return undefined;
  const [section, , ...rest] = path as [string, string, ...string[]];
  const exact = SPECIAL.get(`${section}.*.${rest.join('.')}`);
  if (exact || rest.length < 2) return exact;
  return SPECIAL.get(`${section}.*.${rest.map((part, index) => (index === 1 ? '*' : part)).join('.')}`);
}

/** `over` on top of `base`; both are left as they are. `path` is where they stand: `['services', 'web']`. */
export function merge(base: Value, over: Value, path: readonly string[], report: Report): Value {
  if (over.tag !== undefined) return over;
  if (isNull(over)) return base; // nothing is said
  if (isNull(base)) return over;
  return (ruleFor(path) ?? mergePlain)(base, over, path, report);
}

function mergePlain(base: Value, over: Value, path: readonly string[], report: Report): Value {
  if (base.kind !== over.kind) return mismatch(base, over, path, report);
  if (base.kind === 'map') return mergeEntries(base, over as MapValue, path, report);
  if (base.kind === 'list') return { ...over, items: [...base.items, ...(over as ListValue).items] } as ListValue;
  return over;
}

function mergeEntries(base: Value, over: Value, path: readonly string[], report: Report): Value {
  if (base.kind !== 'map' || over.kind !== 'map') return mismatch(base, over, path, report);
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [key, entry] of over.entries) {
    const old = entries.get(key);
    const value = old ? merge(old.value, entry.value, [...path, key], report) : entry.value;
    entries.set(key, { where: entry.where, value });
  }
  return { ...over, entries };
}

const WORDS = { scalar: 'a single value', list: 'a list', map: 'a map' } as const;

function mismatch(base: Value, over: Value, path: readonly string[], report: Report): Value {
  report.error('CANNOT_MERGE', over.where, `${path.join('.')} is ${WORDS[over.kind]} here, and ${WORDS[base.kind]} in what it is merged into`, 'Write both in one form, or put !override before the later one.', [{ what: WORDS[base.kind], where: base.where }]); // prettier-ignore
  return base;
}

/** The value without what `!reset` takes out, and without the tags: nothing is to be merged into it from below any more. */
export function settle(value: Value): Value {
  const { tag: _tag, ...bare } = value;
  if (bare.kind === 'list') return { ...bare, items: bare.items.filter((item) => item.tag !== 'reset').map(settle) };
  if (bare.kind !== 'map') return bare;
  const entries = [...bare.entries].filter(([, entry]) => entry.value.tag !== 'reset');
  return { ...bare, entries: new Map(entries.map(([key, entry]) => [key, { ...entry, value: settle(entry.value) }])) };
}

function isNull(value: Value): boolean {
  return value.kind === 'scalar' && value.value === null;
}

function textOf(value: Value | undefined): string | undefined {
  return value?.kind === 'scalar' && value.value !== null ? String(value.value) : undefined;
}

function joinLists(base: ListValue, over: ListValue, key: (item: Value) => string | undefined): ListValue {
  const items = [...base.items];
  const places = new Map<string, number>();
  base.items.forEach((item, index) => {
    const name = key(item);
    if (name !== undefined) places.set(name, index);
  });
  for (const item of over.items) {
    const name = key(item);
    const place = name === undefined ? undefined : places.get(name);
    if (place === undefined) items.push(item);
    else items[place] = item;
  }
  return { ...over, items };
}

function toList(value: Value): ListValue {
  return value.kind === 'list' ? value : { kind: 'list', items: [value], where: value.where };
}

/** Items of `env_file` are texts or maps with a path. */
function envFiles(base: Value, over: Value): Value {
  const key = (item: Value) => textOf(item.kind === 'map' ? item.entries.get('path')?.value : item);
  return joinLists(toList(base), toList(over), key);
}

function toPairs(value: Value): Value {
  if (value.kind !== 'list') return value;
  const entries = new Map<string, MapEntry>();
  for (const item of value.items) {
    const text = textOf(item);
    if (text === undefined || item.kind !== 'scalar') return value; // told by whoever reads it
    const split = text.indexOf('=');
    const key = split < 0 ? text : text.slice(0, split);
    const rest = split < 0 ? null : text.slice(split + 1);
    entries.set(key, { where: item.where, value: { ...item, value: rest, text: rest ?? '', plain: false } });
  }
  return { kind: 'map', entries, where: value.where };
}

function toSettings(value: Value, settings: Readonly<Record<string, string>>): Value {
  if (value.kind !== 'list') return value;
  const entries = new Map<string, MapEntry>();
  for (const item of value.items) {
    const name = textOf(item);
    const { where } = item;
    if (name === undefined) return value;
    const scalar = (text: string | null): Value => ({ kind: 'scalar', value: text, text: text ?? '', plain: true, where }); // prettier-ignore
    const inner = Object.entries(settings).map(([key, text]) => [key, { where, value: scalar(text) }] as const);
    entries.set(name, {
      where,
      value: inner.length > 0 ? { kind: 'map', entries: new Map(inner), where } : scalar(null),
    });
  }
  return { kind: 'map', entries, where: value.where };
}

function hostList(value: Value): ListValue {
  if (value.kind !== 'map') return toList(value);
  const items = [...value.entries].flatMap(([name, entry]) =>
    toList(entry.value).items.map((address): Value => {
      const text = `${name}=${textOf(address) ?? ''}`;
      return { kind: 'scalar', value: text, text, plain: false, where: address.where };
    }),
  );
  return { kind: 'list', items, where: value.where };
}
