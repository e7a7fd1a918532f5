import { posix } from 'node:path';
import { isRelativeSource } from './mounts.ts';
import type { ListValue, MapValue, Value } from './yaml-value.ts';

/*
 * Paths in a Compose file are relative to its own project folder. When a file of another folder is included or extended,
 * they are rewritten to be relative to the app's folder (the keys are those of compose-go's paths.ResolveRelativePaths).
 */

/** `path`, as it is seen from the folder that `folder` is relative to. */
export function joinPath(folder: string, path: string): string {
  return path.startsWith('/') || path.startsWith('~') ? path : posix.join(folder, path);
}

type Change = (value: Value) => Value;

const text =
  (change: (path: string) => string): Change =>
  (value) => {
    if (value.kind !== 'scalar' || typeof value.value !== 'string') return value;
    const changed = change(value.value);
    return { ...value, value: changed, text: changed };
  };
const each =
  (change: Change): Change =>
  (value) =>
    value.kind === 'list' ? ({ ...value, items: value.items.map(change) } satisfies ListValue) : change(value);
const entriesOf =
  (changes: Readonly<Record<string, Change>>): Change =>
  (value) => {
    if (value.kind !== 'map') return value;
    const entries = [...value.entries].map(([key, entry]) => {
      const change = Object.hasOwn(changes, key) ? changes[key] : changes['*'];
      return [key, change ? { ...entry, value: change(entry.value) } : entry] as const;
    });
    return { ...value, entries: new Map(entries) } satisfies MapValue;
  };

function changes(folder: string): { readonly service: Change; readonly model: Change } {
  const path = text((own) => joinPath(folder, own));
  const source = text((own) => (isRelativeSource(own) ? `./${joinPath(folder, own)}` : own));
  const volume: Change = (item) => (item.kind === 'map' ? longVolume(item) : shortVolume(item));
  const longVolume: Change = (item) => {
    const type = item.kind === 'map' ? item.entries.get('type')?.value : undefined;
    return type?.kind === 'scalar' && type.value === 'bind' ? entriesOf({ source: path })(item) : item;
  };
  const shortVolume = text((own) => (isRelativeSource(own.split(':')[0]!) ? `./${joinPath(folder, own)}` : own));
  const service = entriesOf({
    env_file: each((item) => (item.kind === 'map' ? entriesOf({ path })(item) : path(item))),
    label_file: each(path),
    volumes: each(volume),
    extends: entriesOf({ file: path }),
  });
  const file = entriesOf({ '*': entriesOf({ file: path }) });
  return {
    service,
    model: entriesOf({
      services: entriesOf({ '*': service }),
      configs: file,
      secrets: file,
      volumes: entriesOf({ '*': entriesOf({ driver_opts: entriesOf({ device: source }) }) }),
    }),
  };
}

/** A service of a file in `folder`, which is relative to the app's folder. */
export function rebaseService(service: Value, folder: string): Value {
  return folder === '.' ? service : changes(folder).service(service);
}

/** A whole Compose file of a project in `folder`. */
export function rebaseModel(model: Value, folder: string): Value {
  return folder === '.' ? model : changes(folder).model(model);
}
