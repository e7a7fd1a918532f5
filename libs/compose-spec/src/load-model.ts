import { posix } from 'node:path';
import type { Location } from '@boxship/model';
import { tidyRelativePath, type AppFolder } from './app-folder.ts';
import { readEnvFile } from './env-file.ts';
import { interpolateValue, type Lookup } from './interpolation.ts';
import { merge, settle } from './merge.ts';
import { joinPath, rebaseModel, rebaseService } from './relative-paths.ts';
import type { Report } from './report.ts';
import { readKnownKeys, readList, readText, readTexts } from './scalar.ts';
import { readYaml, type MapEntry, type MapValue, type Value } from './yaml-value.ts';

export interface ModelInput {
  /** Compose files, relative to the app's folder; later ones change earlier ones. */
  readonly files: readonly string[];
  /** Bytes of a file in place of those in the folder. */
  readonly bytes?: ReadonlyMap<string, Uint8Array>;
  readonly folder: AppFolder;
  readonly lookup: Lookup;
  /** The path of a file as errors shall name it. */
  readonly shown: (path: string) => string;
  readonly report: Report;
}

/** Files that one app may be made of: include and extends must end. */
const MAX_FILES = 200;
const SECTIONS = ['services', 'networks', 'volumes', 'configs', 'secrets', 'models'] as const;

/**
 * The one model that an app's Compose files are together: interpolated file by file, `extends` and `include` resolved,
 * overrides merged, `!reset` and `!override` done, paths relative to the app's folder. `undefined` when a file cannot be
 * read at all. Variables that are not set stay marked (`reportUnset`): what is overridden or inactive does not need them.
 */
export function loadModel(input: ModelInput): MapValue | undefined {
  const loader = {
    ...input,
    read: new Map<string, readonly Value[] | undefined>(),
    loads: { count: 0 },
    circles: new Set<string>(),
  };
  return loadProject(loader, {
    files: input.files,
    folder: '.',
    lookup: input.lookup,
    chain: [{ files: input.files }],
  });
}

interface Loader extends ModelInput {
  readonly read: Map<string, readonly Value[] | undefined>;
  readonly loads: { count: number };
  /** Circles of `extends` that were told: each is found from every service that leads into it. */
  readonly circles: Set<string>;
}

interface Project {
  readonly files: readonly string[];
  /** Paths in the files are relative to this one. */
  readonly folder: string;
  readonly lookup: Lookup;
  /** What led here, the app's own files first. */
  readonly chain: readonly IncludeStep[];
}

/** Files that one `include` names together; of the app's own files there is none. */
interface IncludeStep {
  readonly files: readonly string[];
  readonly where?: Location;
}

function loadProject(loader: Loader, project: Project): MapValue | undefined {
  const { report } = loader;
  let model: Value | undefined;
  const includes: MapEntry[] = [];
  let complete = true;
  for (const file of project.files) {
    const documents = loadFile(loader, file, undefined);
    if (!documents) complete = false;
    for (const document of documents ?? []) {
      const value = interpolateValue(document, project.lookup, report);
      if (value.kind !== 'map') {
        report.error('WRONG_TYPE', value.where, 'a Compose file is a map', 'Write "services:" and at least one service.'); // prettier-ignore
        complete = false;
        continue;
      }
      const include = value.entries.get('include');
      if (include) includes.push(include);
      const own = withoutKey(resolveExtends(value, file, loader, project), 'include');
      model = model ? settle(merge(model, own, [], report)) : settle(own);
    }
  }
  if (!model || model.kind !== 'map') return undefined;
  let result = rebaseModel(model, project.folder) as MapValue;
  for (const { value } of includes) {
    for (const item of readList(value, report)) {
      const included = loadInclude(item, loader, project);
      if (included) result = importSections(result, included, report);
      else complete = false;
    }
  }
  return complete || project.chain.length > 1 ? result : undefined;
}

/** Documents of a file; told when it is not there. */
function loadFile(loader: Loader, path: string, where: Location | undefined): readonly Value[] | undefined {
  const { folder, report, shown } = loader;
  if (loader.loads.count++ >= MAX_FILES) {
    if (loader.loads.count === MAX_FILES + 1) {
      report.error('TOO_MANY_FILES', where ?? { file: shown(path) }, `the app is made of more than ${MAX_FILES} files`, 'Include each file once.'); // prettier-ignore
    }
    return undefined;
  }
  if (loader.read.has(path)) return loader.read.get(path);
  const given = loader.bytes?.get(path);
  const entry = given ? undefined : readPlain(folder, path);
  let documents: readonly Value[] | undefined;
  if (given) documents = readYaml(shown(path), given, report);
  else if (entry?.kind === 'file') documents = readYaml(shown(path), entry.bytes, report);
  else {
    const reason =
      entry?.kind === 'directory' ? 'is a directory' : entry?.kind === 'other' ? entry.reason : 'does not exist';
    report.error('FILE_MISSING', where ?? { file: shown(path) }, `the Compose file ${shown(path)} ${reason}`, where ? 'Correct the path, which is relative to the file that names it.' : 'Correct "compose:" in the product file.'); // prettier-ignore
  }
  if (documents?.length === 0) documents = undefined;
  loader.read.set(path, documents);
  return documents;
}

function readPlain(folder: AppFolder, path: string) {
  const tidy = tidyRelativePath(path, folder.levels);
  if (tidy === undefined) return { kind: 'other', reason: 'is outside the folder of the product' } as const;
  return folder.read(tidy);
}

function withoutKey(map: MapValue, key: string): MapValue {
  return { ...map, entries: new Map([...map.entries].filter(([name]) => name !== key)) };
}

/** The document with every `extends` of its services replaced by what it means. */
function resolveExtends(document: MapValue, file: string, loader: Loader, project: Project): MapValue {
  const services = document.entries.get('services');
  if (services?.value.kind !== 'map') return document;
  const resolved = new Map<string, MapEntry>();
  for (const [name, entry] of services.value.entries) {
    const value = extendService(name, entry, { file, services: services.value.entries, done: resolved }, [], loader, project); // prettier-ignore
    resolved.set(name, { ...entry, value });
  }
  const entries = new Map(document.entries);
  entries.set('services', { ...services, value: { ...services.value, entries: resolved } });
  return { ...document, entries };
}

interface Scope {
  readonly file: string;
  readonly services: ReadonlyMap<string, MapEntry>;
  readonly done: ReadonlyMap<string, MapEntry>;
}

function extendService(
  name: string,
  { value }: MapEntry,
  scope: Scope,
  path: readonly ExtendsStep[],
  loader: Loader,
  project: Project,
): Value {
  const { report, shown } = loader;
  const done = scope.done.get(name);
  if (done) return done.value;
  const clause = value.kind === 'map' ? value.entries.get('extends') : undefined;
  if (value.kind !== 'map' || !clause) return value;
  const rest = withoutKey(value, 'extends');
  if (path.some((step) => step.file === scope.file && step.name === name)) {
    const circle = path.slice(path.findIndex((step) => step.file === scope.file && step.name === name));
    reportExtendsCycle(circle, loader);
    return rest;
  }
  const here = [...path, { file: scope.file, name, where: clause.where }];
  const keys = clause.value.kind === 'map' ? readKnownKeys(clause.value, 'extends', ['service', 'file'], report) : undefined; // prettier-ignore
  const service = readText(keys ? keys.get('service')?.value : clause.value, report);
  const fileValue = keys?.get('file')?.value;
  const otherFile = readText(fileValue, report);
  if (service === undefined) {
    if (keys && !keys.has('service')) report.error('BAD_VALUE', clause.where, 'extends names no service', 'Add "service: NAME".'); // prettier-ignore
    return rest;
  }
  const serviceWhere = (keys ? keys.get('service')!.value : clause.value).where;
  let other: Scope = scope;
  let folder = '.';
  if (otherFile !== undefined) {
    const target = joinPath(posix.dirname(scope.file), otherFile);
    folder = posix.relative(posix.dirname(scope.file), posix.dirname(target)) || '.';
    const services = loadFile(loader, target, fileValue!.where)?.flatMap((document) => {
      const read = interpolateValue(document, project.lookup, report);
      const section = read.kind === 'map' ? read.entries.get('services')?.value : undefined;
      return section?.kind === 'map' ? [...section.entries] : [];
    });
    if (!services) return rest;
    other = { file: target, services: new Map(services), done: new Map() };
  }
  const base = other.services.get(service);
  if (!base) {
    report.error('UNDEFINED_SERVICE', serviceWhere, `there is no service "${service}" in ${shown(other.file)} to extend`, 'Correct the name, or add the service.'); // prettier-ignore
    return rest;
  }
  const whole = extendService(service, base, other, here, loader, project);
  return merge(settle(rebaseService(whole, folder)), rest, ['services', name], report);
}

/** A service whose `extends` stands at `where`, in a file relative to the app's folder. */
interface ExtendsStep {
  readonly file: string;
  readonly name: string;
  readonly where: Location;
}

/** Told where it begins, and of each further step, the last of which closes the circle. */
function reportExtendsCycle(circle: readonly ExtendsStep[], { circles, report }: Loader): void {
  const key = JSON.stringify(circle.map(({ file, name }) => [file, name]).sort());
  if (circles.has(key)) return;
  circles.add(key);
  const several = new Set(circle.map(({ file }) => file)).size > 1;
  const [first] = circle as readonly [ExtendsStep];
  const words = [...circle, first].map(({ file, name }) => (several ? `${name} (${file})` : name));
  const also = circle.slice(1).map(({ name, where }, index, rest) => {
    const next = rest[index + 1];
    return { what: next ? `"${name}" extends "${next.name}"` : `"${name}" extends "${first.name}": the circle closes`, where }; // prettier-ignore
  });
  report.error('EXTENDS_CYCLE', first.where, `services extend each other: ${words.join(' -> ')}`, 'Take one "extends" out of the circle.', also); // prettier-ignore
}

/** The model of one item of `include`, with paths relative to the app's folder. */
function loadInclude(item: Value, loader: Loader, project: Project): MapValue | undefined {
  const { report, folder, shown } = loader;
  const { chain } = project;
  const keys = item.kind === 'map' ? readKnownKeys(item, 'include', ['path', 'project_directory', 'env_file'], report) : undefined; // prettier-ignore
  const paths = keys ? readTexts(keys.get('path')?.value, report) : readTexts(item, report);
  if (paths.length === 0) {
    if (keys && !keys.has('path')) report.error('BAD_VALUE', item.where, 'the include names no file', 'Add "path:".');
    return undefined;
  }
  const files = paths.map(({ text }) => joinPath(project.folder, text));
  const again = files.find((path) => chain.some((step) => step.files.includes(path)));
  if (again !== undefined) {
    const circle = chain.slice(chain.findIndex((step) => step.files.includes(again)));
    const names = circle.map((step, index) => (index === 0 ? again : step.files.join(' + ')));
    const also = circle.slice(1).map(({ files: next, where }, index) => {
      return { what: `${names[index]} includes ${next.join(' + ')}${index === 0 ? ': the circle begins' : ''}`, where: where! }; // prettier-ignore
    });
    report.error('INCLUDE_CYCLE', item.where, `files include each other: ${[...names, again].join(' -> ')}`, 'Take one "include" out of the circle, which closes here.', also); // prettier-ignore
    return undefined;
  }
  const named = readText(keys?.get('project_directory')?.value, report);
  const directory = named === undefined ? posix.dirname(files[0]!) : joinPath(project.folder, named);
  const variables = new Map<string, string>();
  const lookup: Lookup = (name) => project.lookup(name) ?? variables.get(name);
  const given = keys?.get('env_file');
  const envFiles = given
    ? readTexts(given.value, report).map(({ text, where }) => ({ path: joinPath(project.folder, text), where }))
    : [{ path: joinPath(directory, '.env'), where: undefined }];
  for (const { path, where } of envFiles) {
    if (path === '/dev/null') continue;
    const entry = readPlain(folder, path);
    if (entry?.kind === 'file') {
      for (const [key, text] of readEnvFile({ file: shown(path), bytes: entry.bytes, lookup }, report)) variables.set(key, text); // prettier-ignore
    } else if (where) {
      report.error('FILE_MISSING', where, `the env_file "${path}" of the include does not exist`, 'Create it, or correct the path.'); // prettier-ignore
    }
  }
  for (const [index, path] of files.entries()) {
    if (!loadFile(loader, path, paths[index]!.where)) return undefined;
  }
  const model = loadProject(loader, {
    files,
    folder: directory,
    lookup,
    chain: [...chain, { files, where: item.where }],
  });
  if (model) readKnownKeys(model, `the included file ${shown(files[0]!)}`, ['version', 'name', ...SECTIONS], report);
  return model;
}

/** What an included file defines becomes the app's own; a name that is there already, with another meaning, is an error. */
function importSections(model: MapValue, included: MapValue, report: Report): MapValue {
  const entries = new Map(model.entries);
  for (const section of SECTIONS) {
    const from = included.entries.get(section);
    if (from?.value.kind !== 'map') continue;
    const own = entries.get(section);
    const names = new Map(own?.value.kind === 'map' ? own.value.entries : []);
    for (const [name, entry] of from.value.entries) {
      const other = names.get(name);
      if (!other) names.set(name, entry);
      else if (!isSame(other.value, entry.value)) {
        const kind = section.replace(/s$/, '');
        report.error(`DUPLICATE_${kind.toUpperCase()}`, entry.where, `the ${kind} "${name}" of an included file is there already, and otherwise`, 'Rename one of them; to change an included one, list an override file under "path" of the include.', [{ what: `the other ${kind} "${name}"`, where: other.where }]); // prettier-ignore
      }
    }
    entries.set(section, {
      where: own?.where ?? from.where,
      value: { kind: 'map', entries: names, where: own?.value.where ?? from.value.where },
    });
  }
  return { ...model, entries };
}

function isSame(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a.kind === 'list' && b.kind === 'list') {
    return a.items.length === b.items.length && a.items.every((item, index) => isSame(item, b.items[index]!));
  }
  if (a.kind === 'map' && b.kind === 'map') {
    return a.entries.size === b.entries.size && [...a.entries].every(([key, { value }]) => b.entries.has(key) && isSame(value, b.entries.get(key)!.value)); // prettier-ignore
  }
  return a.kind === 'scalar' && b.kind === 'scalar' && a.value === b.value;
}
